#include "engine/base/checksum.h"

// The state's layout, so that XxhStream::State can hold it by value.
#define XXH_STATIC_LINKING_ONLY
#include <algorithm>
#include <isa-l/crc.h>
#include <limits>
#include <xxhash.h>

// The library's own choice of instruction set at run time: AVX2 and AVX-512 where the processor has them,
// although everything of ours is compiled for the oldest one.
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#define XXH_DISPATCH_DISABLE_REPLACE
#include <xxh_x86dispatch.h>
#define MILLRACE_XXH3(name) name##_dispatch
#else
#define MILLRACE_XXH3(name) name
#endif

namespace millrace {

std::uint64_t xxh3(std::span<const std::byte> bytes) {
  return MILLRACE_XXH3(XXH3_64bits)(bytes.data(), bytes.size());
}

struct XxhStream::State {
  XXH3_state_t xxh;
};

XxhStream::XxhStream() : state_(std::make_unique<State>()) {
  reset();
}
XxhStream::~XxhStream() = default;
XxhStream::XxhStream(XxhStream&&) noexcept = default;
XxhStream& XxhStream::operator=(XxhStream&&) noexcept = default;

void XxhStream::update(std::span<const std::byte> bytes) {
  MILLRACE_XXH3(XXH3_64bits_update)(&state_->xxh, bytes.data(), bytes.size());
}

std::uint64_t XxhStream::digest() const {
  return XXH3_64bits_digest(&state_->xxh);
}

void XxhStream::reset() {
  XXH3_64bits_reset(&state_->xxh);
}

std::uint32_t crc32c(std::span<const std::byte> bytes) {
  return crc32c_extend(0, bytes);
}

std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> bytes) {
  // ISA-L computes the bare remainder, without the inversions before and after, and counts in int. Its
  // parameter is not const although it only reads (Debian 12's version).
  constexpr std::size_t k_piece = std::numeric_limits<int>::max() / 2;
  std::uint32_t remainder = ~crc;
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), k_piece));
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(piece.data()));
    remainder = crc32_iscsi(data, static_cast<int>(piece.size()), remainder);
    bytes = bytes.subspan(piece.size());
  }
  return ~remainder;
}

}  // namespace millrace
