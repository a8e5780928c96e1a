#include "engine/base/murmur2.h"

#include "engine/base/check.h"
#include "engine/base/endian.h"

namespace millrace {

std::uint32_t murmur2(std::span<const std::byte> bytes) {
  constexpr std::uint32_t k_seed = 0x9747b28c;
  constexpr std::uint32_t k_multiplier = 0x5bd1e995;
  std::uint32_t hash = k_seed ^ static_cast<std::uint32_t>(bytes.size());
  for (; bytes.size() >= 4; bytes = bytes.subspan(4)) {
    std::uint32_t word = load_le<std::uint32_t>(bytes.data()) * k_multiplier;
    word ^= word >> 24;
    hash = (hash * k_multiplier) ^ (word * k_multiplier);
  }
  if (!bytes.empty()) {
    for (std::size_t i = 0; i < bytes.size(); ++i) hash ^= static_cast<std::uint32_t>(bytes[i]) << (8 * i);
    hash *= k_multiplier;
  }
  hash ^= hash >> 13;
  hash *= k_multiplier;
  return hash ^ (hash >> 15);
}

std::uint32_t partition_of(std::span<const std::byte> key, std::uint32_t partitions) {
  CHECK(partitions > 0);
  return (murmur2(key) & 0x7fffffffu) % partitions;
}

}  // namespace millrace
