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
  out.resize(Compressor().compress(codec, in, out).value());
  return out;
}

// By an inflater that has seen nothing before.
Result<void> decompress(Codec codec, ByteView in, Bytes& out,
                        std::uint64_t size_max = k_batch_inflated_size_max) {
  TRY(const ByteView inflated, Inflater().inflate(codec, in, out, size_max));
  out.resize(inflated.size());
  return {};
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

TEST(CompressionTest, WorkingMemoryIsKeptFromBatchToBatch) {
  Compressor compressor;
  Inflater inflater;
  EXPECT_EQ(compressor.bytes_held() + inflater.bytes_held(), 0u);
  const Bytes in = text(300'000);
  Bytes packed(compressed_size_max(Codec::zstd, in.size()).value());
  Bytes storage;
  std::size_t by_compressor = 0;
  std::size_t by_inflater = 0;
  for (int i = 0; i < 3; ++i) {
    const std::size_t size = compressor.compress(Codec::zstd, in, packed).value();
    const auto out = inflater.inflate(Codec::zstd, ByteView(packed).first(size), storage);
    ASSERT_TRUE(out && std::ranges::equal(*out, in));
    if (i == 0) {
      by_compressor = compressor.bytes_held();
      by_inflater = inflater.bytes_held();
    }
    EXPECT_GT(by_compressor, 0u);
    EXPECT_GT(by_inflater, 0u);
    EXPECT_EQ(compressor.bytes_held(), by_compressor);
    EXPECT_EQ(inflater.bytes_held(), by_inflater);
  }
}

TEST(CompressionTest, TheMemoryOfALargeWindowIsNotKept) {
  Inflater inflater;
  Bytes storage;
  const Bytes packed = compressed(Codec::zstd, text(40u << 20));
  EXPECT_TRUE(inflater.inflate(Codec::zstd, packed, storage));
  EXPECT_LE(inflater.bytes_held(), k_inflater_bytes_kept);
  // One byte in a frame that asks for a window of 16 MiB.
  EXPECT_TRUE(inflater.inflate(Codec::zstd, parse_hex("28b52ffd007009000041").value(), storage));
  EXPECT_EQ(inflater.bytes_held(), 0u);
}

// Batches of all sizes, good and broken ones, through the same inflater into the same storage.
TEST(CompressionTest, ABrokenBatchLeavesNothingBehind) {
  std::mt19937_64 random(7);
  Inflater inflater;
  Bytes storage;
  for (int i = 0; i < 300; ++i) {
    const Codec codec = k_codecs[random() % 2];
    const Bytes in = text(random() % 50'000);
    Bytes packed = compressed(codec, in);
    const bool cut = random() % 3 == 0;
    if (cut) packed.resize(packed.size() - 1 - random() % (packed.size() / 2));
    const auto out = inflater.inflate(codec, packed, storage);
    ASSERT_EQ(out.has_value(), !cut) << i;
    ASSERT_TRUE(cut || std::ranges::equal(*out, in)) << i;
  }
}

TEST(CompressionTest, LargerStorageDoesNotMoveTheLimit) {
  Inflater inflater;
  Bytes storage(1u << 20);
  for (const Codec codec : k_codecs) {
    const Bytes packed = compressed(codec, text(5000));
    EXPECT_EQ(inflater.inflate(codec, packed, storage, 5000)->size(), 5000u) << name(codec);
    EXPECT_EQ(inflater.inflate(codec, packed, storage, 4999).error().code, ErrorCode::record_too_large);
  }
}

TEST(CompressionTest, GzipAndSnappyAreNamedInTheRefusal) {
  Bytes out;
  EXPECT_THAT(decompress(Codec::gzip, Bytes(10), out).error().message, HasSubstr("gzip"));
  EXPECT_THAT(Compressor().compress(Codec::snappy, Bytes(10), out).error().message, HasSubstr("snappy"));
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
