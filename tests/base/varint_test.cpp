#include "engine/base/varint.h"

#include <array>
#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <vector>

namespace millrace {
namespace {

template <class T>
void expect_round_trip(T value) {
  std::array<std::byte, k_varlong_size_max> bytes{};
  std::byte* const end = encode_varint(bytes.data(), value);
  const auto size = static_cast<std::size_t>(end - bytes.data());
  ASSERT_EQ(size, varint_size(value)) << value;
  // An allocation of exactly that size, so that a sanitizer sees a read behind the end.
  const std::vector<std::byte> exact(bytes.data(), end);
  for (std::size_t cut = 0; cut < size; ++cut) {
    T ignored{};
    ASSERT_EQ(decode_varint(exact.data(), exact.data() + cut, ignored), nullptr)
        << value << " cut at " << cut;
  }
  T decoded{};
  ASSERT_EQ(decode_varint(exact.data(), exact.data() + size, decoded), exact.data() + size) << value;
  ASSERT_EQ(decoded, value);
}

TEST(VarintTest, BytesAreThoseOfTheKafkaFormat) {
  std::array<std::byte, k_varlong_size_max> bytes{};
  EXPECT_EQ(encode_varint(bytes.data(), std::int32_t{-1}), bytes.data() + 1);
  EXPECT_EQ(bytes[0], std::byte{1});
  EXPECT_EQ(encode_varint(bytes.data(), std::int32_t{63}), bytes.data() + 1);
  EXPECT_EQ(bytes[0], std::byte{126});
  EXPECT_EQ(encode_varint(bytes.data(), std::int32_t{64}), bytes.data() + 2);
  EXPECT_EQ(bytes[0], std::byte{0x80});
  EXPECT_EQ(bytes[1], std::byte{1});
  EXPECT_EQ(varint_size(std::numeric_limits<std::int32_t>::min()), k_varint_size_max);
  EXPECT_EQ(varint_size(std::numeric_limits<std::int64_t>::max()), k_varlong_size_max);
}

TEST(VarintTest, EveryWidthRoundTripsAndIsRefusedWhenCut) {
  std::mt19937_64 random(11);
  for (int bits = 0; bits < 64; ++bits) {
    for (const std::int64_t nudge : {-1, 0, 1}) {
      const auto value =
          static_cast<std::int64_t>((std::uint64_t{1} << bits) + static_cast<std::uint64_t>(nudge));
      expect_round_trip(value);
      expect_round_trip(static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(value)));
      expect_round_trip(static_cast<std::int32_t>(value));
    }
    for (int i = 0; i < 100; ++i) {
      expect_round_trip(static_cast<std::int64_t>(random() >> bits));
      expect_round_trip(static_cast<std::int32_t>(static_cast<std::uint32_t>(random()) >> (bits / 2)));
    }
  }
}

TEST(VarintTest, OneThatDoesNotEndWithinItsTypeIsRefused) {
  const std::vector<std::byte> bytes(16, std::byte{0xff});
  std::int32_t small = 0;
  std::int64_t large = 0;
  EXPECT_EQ(decode_varint(bytes.data(), bytes.data() + bytes.size(), small), nullptr);
  EXPECT_EQ(decode_varint(bytes.data(), bytes.data() + bytes.size(), large), nullptr);
  std::vector<std::byte> five(5, std::byte{0x80});
  five[4] = std::byte{0};
  EXPECT_EQ(decode_varint(five.data(), five.data() + 5, small), five.data() + 5);
  EXPECT_EQ(small, 0);
}

}  // namespace
}  // namespace millrace
