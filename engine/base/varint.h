// Zig-zag varints as the Kafka record format has them (varint: 32 bits in up to 5 bytes, varlong: 64 bits in
// up to 10), which are those of Protocol Buffers' sint32 and sint64: seven bits a byte, lowest first, the top
// bit of a byte says that more follow.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace millrace {

inline constexpr std::uint32_t k_varint_size_max = 5;
inline constexpr std::uint32_t k_varlong_size_max = 10;

template <std::signed_integral T>
[[nodiscard]] constexpr std::make_unsigned_t<T> zigzag(T value) {
  using Unsigned = std::make_unsigned_t<T>;
  return static_cast<Unsigned>((static_cast<Unsigned>(value) << 1) ^
                               static_cast<Unsigned>(value >> (sizeof(T) * 8 - 1)));
}

template <std::unsigned_integral U>
[[nodiscard]] constexpr std::make_signed_t<U> unzigzag(U value) {
  return static_cast<std::make_signed_t<U>>((value >> 1) ^ (U{0} - (value & 1)));
}

// Bytes that `value` takes: 1 to 5 for std::int32_t, 1 to 10 for std::int64_t.
template <std::signed_integral T>
[[nodiscard]] constexpr std::uint32_t varint_size(T value) {
  const auto bits = static_cast<std::uint32_t>(std::bit_width(zigzag(value) | 1u));
  return (bits + 6) / 7;
}

// Writes `value` at `to` and returns the first byte after it. The caller knows that varint_size(value) bytes
// are there.
template <std::signed_integral T>
inline std::byte* encode_varint(std::byte* to, T value) {
  auto rest = zigzag(value);
  while (rest >= 0x80) {
    *to++ = static_cast<std::byte>(rest | 0x80);
    rest = static_cast<decltype(rest)>(rest >> 7);
  }
  *to++ = static_cast<std::byte>(rest);
  return to;
}

// Any length; decode_varint() is the one to call.
template <std::signed_integral T>
[[nodiscard]] inline const std::byte* decode_long_varint(const std::byte* from, const std::byte* end,
                                                         T& value) {
  using Unsigned = std::make_unsigned_t<T>;
  Unsigned result = 0;
  for (unsigned shift = 0; shift < sizeof(T) * 8 && from != end; shift += 7) {
    const auto byte = static_cast<Unsigned>(*from++);
    result |= static_cast<Unsigned>((byte & 0x7f) << shift);
    if (byte < 0x80) {
      value = unzigzag(result);
      return from;
    }
  }
  return nullptr;
}

// Reads one from [from, end) and returns the first byte after it, or nullptr when the bytes end within it, or
// when it does not end within the type's largest size. Bits beyond the type's width are dropped and longer
// forms than necessary are taken, as Kafka's own decoder does.
//
// One and two bytes, nearly all there are in batches of small records, are told apart by a branch: the
// processor guesses it and goes on to the next field, where arithmetic instead would make every field wait
// for the one before. Measured on the walk of 100-byte records: 105 against 71 M records/s, and 88 against 72
// with random lengths of 0 to 200.
template <std::signed_integral T>
[[nodiscard]] inline const std::byte* decode_varint(const std::byte* from, const std::byte* end, T& value) {
  using Unsigned = std::make_unsigned_t<T>;
  if (end - from >= 2) [[likely]] {
    const auto low = static_cast<std::uint32_t>(from[0]);
    if (low < 0x80) {
      value = unzigzag(static_cast<Unsigned>(low));
      return from + 1;
    }
    const auto high = static_cast<std::uint32_t>(from[1]);
    if (high < 0x80) {
      value = unzigzag(static_cast<Unsigned>((low & 0x7f) | (high << 7)));
      return from + 2;
    }
  }
  return decode_long_varint(from, end, value);
}

}  // namespace millrace
