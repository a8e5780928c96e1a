// Building blocks of the log's formats: fields in order, magics, and lengths rounded up.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "engine/base/check.h"
#include "engine/base/endian.h"
#include "engine/base/limits.h"

namespace millrace {

[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t length, std::uint64_t unit) {
  return (length + unit - 1) / unit * unit;
}
[[nodiscard]] constexpr std::uint64_t round_up_to_block(std::uint64_t length) {
  return round_up(length, k_block_size);
}

// Eight letters as they stand on disk.
[[nodiscard]] consteval std::uint64_t magic_of(std::string_view letters) {
  std::uint64_t magic = 0;
  for (std::size_t i = 8; i > 0; --i) magic = magic << 8 | static_cast<unsigned char>(letters[i - 1]);
  return magic;
}

// Writes little-endian fields one after the other.
class FieldWriter {
 public:
  explicit FieldWriter(std::span<std::byte> into) : rest_(into) {}
  template <std::integral T>
  void put(std::type_identity_t<T> value) {
    CHECK(rest_.size() >= sizeof(T));
    store_le<T>(rest_.data(), value);
    rest_ = rest_.subspan(sizeof(T));
  }
  void put_bytes(std::span<const std::byte> bytes) {
    CHECK(rest_.size() >= bytes.size());
    std::ranges::copy(bytes, rest_.begin());
    rest_ = rest_.subspan(bytes.size());
  }
  // Zeros for `count` bytes.
  void put_zeros(std::size_t count) {
    CHECK(rest_.size() >= count);
    std::ranges::fill(rest_.first(count), std::byte{0});
    rest_ = rest_.subspan(count);
  }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  std::span<std::byte> rest_;
};

// Reads little-endian fields one after the other; beyond the end it gives zeros and is_short() is true.
class FieldReader {
 public:
  explicit FieldReader(std::span<const std::byte> from) : rest_(from) {}
  template <std::integral T>
  [[nodiscard]] T get() {
    const auto bytes = get_bytes(sizeof(T));
    return bytes.empty() ? T{} : load_le<T>(bytes.data());
  }
  // Empty if fewer than `count` are left.
  [[nodiscard]] std::span<const std::byte> get_bytes(std::size_t count) {
    if (rest_.size() < count) {
      short_ = true;
      rest_ = {};
      return {};
    }
    const auto bytes = rest_.first(count);
    rest_ = rest_.subspan(count);
    return bytes;
  }
  [[nodiscard]] bool is_short() const { return short_; }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
  bool short_ = false;
};

}  // namespace millrace
