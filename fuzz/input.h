// Input: an input of libFuzzer, taken apart from its front.
//
// Whatever the bytes are, they mean something: beyond the end there are zeros, and lengths stop there. So
// every mutation is an input, and none is spent on being refused by the harness.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "engine/base/endian.h"

namespace millrace::fuzz {

using Bytes = std::vector<std::byte>;

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(std::as_bytes(std::span(data, size))) {}

  template <std::integral T>
  [[nodiscard]] T take() {
    std::byte bytes[sizeof(T)]{};
    std::ranges::copy(take_bytes(sizeof(T)), bytes);
    return load_le<T>(bytes);
  }
  [[nodiscard]] std::span<const std::byte> take_bytes(std::size_t count) {
    const auto bytes = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(bytes.size());
    return bytes;
  }
  // A u16 length and as many bytes.
  [[nodiscard]] Bytes take_chunk() {
    const auto bytes = take_bytes(take<std::uint16_t>());
    return {bytes.begin(), bytes.end()};
  }
  // A vector of exactly what is left, so that a sanitizer sees a read behind its end.
  [[nodiscard]] Bytes take_rest() {
    const auto bytes = take_bytes(rest_.size());
    return {bytes.begin(), bytes.end()};
  }
  [[nodiscard]] bool empty() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

// The same way back: what makes inputs out of what the product's own writers gave.
class InputWriter {
 public:
  template <std::integral T>
  InputWriter& put(std::type_identity_t<T> value) {
    std::byte bytes[sizeof(T)];
    store_le<T>(bytes, value);
    return put_bytes(bytes);
  }
  InputWriter& put_bytes(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  InputWriter& put_chunk(std::span<const std::byte> bytes) {
    return put<std::uint16_t>(static_cast<std::uint16_t>(bytes.size())).put_bytes(bytes);
  }
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace millrace::fuzz
