#include "engine/base/compression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/uuid.h"
#include "tests/base/support.h"

namespace millrace {
namespace {

using test::Bytes;
using testing::HasSubstr;

constexpr std::array k_codecs = {Codec::lz4, Codec::zstd};

Bytes compressed(Codec codec, ByteView in) {
  Bytes out(compressed_size_max(codec, in.size()).value());
  out.resize(compress(codec, in, out).value());
  return out;
}

Bytes text(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>('a' + (i * i / 97) % 20);
  return bytes;
}

TEST(CompressionTest, EverySizeRoundTrips) {
  Bytes out;
  for (const Codec codec : k_codecs) {
    for (const std::size_t size : {0ul, 1ul, 100ul, 4096ul, 65'536ul, 65'537ul, 3'000'000ul}) {
      const Bytes in = text(size);
      const Result<void> done = decompress(codec, compressed(codec, in), out);
      ASSERT_TRUE(done) << name(codec) << " " << size << ": " << done.error().message;
      ASSERT_EQ(out, in) << name(codec) << " " << size;
    }
  }
}

TEST(CompressionTest, TheLimitIsExact) {
  Bytes out;
  for (const Codec codec : k_codecs) {
    for (const std::size_t size : {10ul, 5'000ul, 100'000ul}) {
      const Bytes packed = compressed(codec, text(size));
      EXPECT_TRUE(decompress(codec, packed, out, size)) << name(codec) << " " << size;
      const Result<void> over = decompress(codec, packed, out, size - 1);
      ASSERT_FALSE(over) << name(codec) << " " << size;
      EXPECT_EQ(over.error().code, ErrorCode::record_too_large);
      EXPECT_THAT(over.error().message, HasSubstr(fmt::format("{} bytes", size - 1)));
    }
  }
}

TEST(CompressionTest, ABombStopsAtTheLimit) {
  Bytes out;
  for (const Codec codec : k_codecs) {
    const Bytes bomb = compressed(codec, Bytes(16u << 20));
    EXPECT_LT(bomb.size(), 100'000u);
    EXPECT_EQ(decompress(codec, bomb, out, 1u << 20).error().code, ErrorCode::record_too_large)
        << name(codec);
    EXPECT_LE(out.capacity(), 2u << 20);
  }
}

// One byte in a frame that asks for a window of a megabyte, and of two.
TEST(CompressionTest, TheLimitOfTheWindowIsExact) {
  Bytes out;
  EXPECT_TRUE(decompress(Codec::zstd, parse_hex("28b52ffd005009000041").value(), out, 1u << 20));
  const Bytes larger = parse_hex("28b52ffd005809000041").value();
  EXPECT_TRUE(decompress(Codec::zstd, larger, out, 2u << 20));
  EXPECT_EQ(decompress(Codec::zstd, larger, out, 1u << 20).error().code, ErrorCode::record_too_large);
}

TEST(CompressionTest, BytesThatEndTooEarlyAreRefusedAtEveryCut) {
  Bytes out;
  for (const Codec codec : k_codecs) {
    const Bytes packed = compressed(codec, text(300));
    for (std::size_t size = 0; size < packed.size(); ++size) {
      const Bytes cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size));
      const Result<void> done = decompress(codec, cut, out);
      ASSERT_FALSE(done) << name(codec) << " cut at " << size;
      ASSERT_EQ(done.error().code, ErrorCode::corrupt_batch);
    }
  }
}

TEST(CompressionTest, RandomBytesAreRefused) {
  std::mt19937_64 random(4);
  Bytes out;
  for (const Codec codec : k_codecs) {
    for (int i = 0; i < 500; ++i) {
      ASSERT_FALSE(decompress(codec, test::random_bytes(random, 1 + random() % 200), out, 1u << 20))
          << name(codec);
    }
  }
}

TEST(CompressionTest, SeveralFramesInARowAreOneContent) {
  Bytes out;
  for (const Codec codec : k_codecs) {
    Bytes packed = compressed(codec, text(1000));
    const Bytes second = compressed(codec, text(10));
    packed.insert(packed.end(), second.begin(), second.end());
    ASSERT_TRUE(decompress(codec, packed, out)) << name(codec);
    EXPECT_EQ(out.size(), 1010u);
  }
}

TEST(CompressionTest, GzipAndSnappyAreNamedInTheRefusal) {
  Bytes out;
  EXPECT_THAT(decompress(Codec::gzip, Bytes(10), out).error().message, HasSubstr("gzip"));
  EXPECT_THAT(compress(Codec::snappy, Bytes(10), out).error().message, HasSubstr("snappy"));
  EXPECT_EQ(compressed_size_max(Codec::gzip, 1).error().code, ErrorCode::unsupported_compression);
  EXPECT_EQ(decompress(Codec::none, Bytes(10), out).error().code, ErrorCode::unsupported_compression);
}

// What the command line tools lz4 and zstd made of the nine bytes "123456789".
TEST(CompressionTest, FramesOfOtherProgramsAreRead) {
  Bytes out;
  const Bytes zstd = parse_hex("28b52ffd045849000031323334353637383983aee640").value();
  const Bytes lz4 = parse_hex("04224d186440a7090000803132333435363738390000000067ad7b93").value();
  for (const auto& [codec, bytes] : {std::pair(Codec::zstd, zstd), std::pair(Codec::lz4, lz4)}) {
    const Result<void> done = decompress(codec, bytes, out);
    ASSERT_TRUE(done) << name(codec) << ": " << done.error().message;
    EXPECT_EQ(out, test::copy_of(test::bytes_of("123456789")));
  }
}

}  // namespace
}  // namespace millrace
