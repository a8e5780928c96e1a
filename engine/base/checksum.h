// The two checksums of our formats: XXH3-64 with seed 0 for what we lay out, CRC-32C for the record batch.
// Both find accidents; neither protects against somebody who wants a collision.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace millrace {

// XXH3-64, seed 0, as the xxHash specification defines it.
[[nodiscard]] std::uint64_t xxh3(std::span<const std::byte> bytes);

// The same over pieces: digest() after update(a), update(b) is xxh3(ab). May be read at any point and goes
// on.
class XxhStream {
 public:
  XxhStream();
  ~XxhStream();
  XxhStream(XxhStream&&) noexcept;
  XxhStream& operator=(XxhStream&&) noexcept;
  void update(std::span<const std::byte> bytes);
  [[nodiscard]] std::uint64_t digest() const;
  // Starts over, keeping the memory.
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// CRC-32C (Castagnoli, RFC 3720 appendix B.4): "123456789" gives 0xE3069283, no bytes give 0.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes);
// crc32c_extend(crc32c(a), b) is crc32c(ab).
[[nodiscard]] std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> bytes);

}  // namespace millrace
