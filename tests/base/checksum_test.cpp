#include "engine/base/checksum.h"

#include <gtest/gtest.h>

#include "engine/base/endian.h"
#include "engine/base/murmur2.h"
#include "tests/base/support.h"

namespace millrace {
namespace {

using test::bytes_of;

TEST(ChecksumTest, Crc32cGivesTheVectorsOfRfc3720) {
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283u);
  EXPECT_EQ(crc32c({}), 0u);
  EXPECT_EQ(crc32c(test::Bytes(32)), 0x8A9136AAu);
  EXPECT_EQ(crc32c(test::Bytes(32, std::byte{0xff})), 0x62A8AB43u);
}

TEST(ChecksumTest, Xxh3GivesThePublishedVectorsOfSeedZero) {
  EXPECT_EQ(xxh3({}), 0x2D06800538D394C2u);
  EXPECT_EQ(xxh3(bytes_of("a")), 0xE6C632B61E964E1Fu);
  EXPECT_EQ(xxh3(bytes_of("abc")), 0x78AF5F94892F3950u);
}

TEST(ChecksumTest, PiecesGiveTheChecksumOfTheWholeAtEveryCut) {
  std::mt19937_64 random(7);
  const test::Bytes bytes = test::random_bytes(random, 700);
  const std::uint64_t whole_xxh3 = xxh3(bytes);
  const std::uint32_t whole_crc = crc32c(bytes);
  XxhStream stream;
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const auto first = ByteView(bytes).first(cut);
    const auto rest = ByteView(bytes).subspan(cut);
    ASSERT_EQ(crc32c_extend(crc32c(first), rest), whole_crc) << cut;
    stream.reset();
    stream.update(first);
    ASSERT_EQ(stream.digest(), xxh3(first)) << cut;
    stream.update(rest);
    ASSERT_EQ(stream.digest(), whole_xxh3) << cut;
  }
}

TEST(EndianTest, BytesStandInTheOrderOfTheNameAtAnyAlignment) {
  std::array<std::byte, 12> bytes{};
  for (std::size_t at = 0; at < 4; ++at) {
    store_be<std::int32_t>(bytes.data() + at, 0x01020304);
    EXPECT_EQ(bytes[at], std::byte{1});
    EXPECT_EQ(load_be<std::int32_t>(bytes.data() + at), 0x01020304);
    EXPECT_EQ(load_le<std::int32_t>(bytes.data() + at), 0x04030201);
    store_le<std::uint64_t>(bytes.data() + at, 0xff02030405060708u);
    EXPECT_EQ(bytes[at], std::byte{8});
    EXPECT_EQ(load_le<std::uint64_t>(bytes.data() + at), 0xff02030405060708u);
    EXPECT_EQ(load_be<std::int64_t>(bytes.data() + at), 0x08070605040302ff);
  }
}

TEST(Murmur2Test, KafkasOwnVectorsComeOut) {
  const auto kafka = [](std::string_view key) { return static_cast<std::int32_t>(murmur2(bytes_of(key))); };
  EXPECT_EQ(kafka("21"), -973932308);
  EXPECT_EQ(kafka("foobar"), -790332482);
  EXPECT_EQ(kafka("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(kafka("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(kafka("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971);
  EXPECT_EQ(kafka("abc"), 479470107);
}

TEST(Murmur2Test, NegativeHashesChooseAPartitionToo) {
  EXPECT_EQ(partition_of(bytes_of("foobar"), 1), 0u);
  EXPECT_EQ(partition_of(bytes_of("foobar"), 10),
            (static_cast<std::uint32_t>(-790332482) & 0x7fffffffu) % 10);
  EXPECT_EQ(partition_of(bytes_of("abc"), 7), 479470107u % 7);
}

}  // namespace
}  // namespace millrace
