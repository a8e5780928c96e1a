#include "engine/base/endian.h"
#include "net/client/producer.h"

namespace millrace {

// Signed arithmetic of the original wraps; unsigned gives the same bits.
std::uint32_t murmur2(ByteView bytes) {
  constexpr std::uint32_t k_seed = 0x9747b28c;
  constexpr std::uint32_t k_mix = 0x5bd1e995;
  constexpr int k_shift = 24;
  const auto length = static_cast<std::uint32_t>(bytes.size());
  std::uint32_t hash = k_seed ^ length;
  std::size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    std::uint32_t word = load_le<std::uint32_t>(bytes.data() + at) * k_mix;
    word ^= word >> k_shift;
    hash = (hash * k_mix) ^ (word * k_mix);
  }
  const std::size_t rest = bytes.size() - at;
  for (std::size_t i = rest; i-- > 0;) hash ^= static_cast<std::uint32_t>(bytes[at + i]) << (8 * i);
  if (rest != 0) hash *= k_mix;
  hash ^= hash >> 13;
  hash *= k_mix;
  return hash ^ (hash >> 15);
}

}  // namespace millrace
