// Numbers in bytes of a stated order, at any alignment. Ours are little endian, Kafka's record batch is big
// endian.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace millrace {

// Reads sizeof(T) bytes at `from`; the caller knows that they are there.
template <std::integral T>
[[nodiscard]] inline T load_le(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = std::byteswap(value);
  return value;
}

template <std::integral T>
[[nodiscard]] inline T load_be(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
  return value;
}

// Writes sizeof(T) bytes at `to`: store_be<std::int32_t>(p, n). T is named at the call, so that the width on
// disk does not follow from the type of an expression.
template <std::integral T>
inline void store_le(std::byte* to, std::type_identity_t<T> value) {
  if constexpr (std::endian::native == std::endian::big) value = std::byteswap(value);
  std::memcpy(to, &value, sizeof value);
}

template <std::integral T>
inline void store_be(std::byte* to, std::type_identity_t<T> value) {
  if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace millrace
