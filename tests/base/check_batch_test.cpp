#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "engine/base/endian.h"
#include "engine/base/limits.h"
#include "engine/base/record_batch.h"
#include "engine/base/varint.h"
#include "tests/base/support.h"

namespace millrace {
namespace {

using test::Bytes;
using testing::HasSubstr;

// A record written field by field, so that each may lie.
class LyingRecord {
 public:
  LyingRecord& number(std::int32_t value) {
    std::array<std::byte, k_varlong_size_max> bytes{};
    body_.insert(body_.end(), bytes.data(), encode_varint(bytes.data(), value));
    return *this;
  }
  LyingRecord& raw(std::string_view text) {
    const ByteView bytes = test::bytes_of(text);
    body_.insert(body_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  // With a length that is `lie` more than the truth.
  [[nodiscard]] Bytes bytes(std::int32_t lie = 0) const {
    LyingRecord record;
    record.number(static_cast<std::int32_t>(body_.size()) + lie);
    record.body_.insert(record.body_.end(), body_.begin(), body_.end());
    return record.body_;
  }

 private:
  Bytes body_;
};

// A batch of one record that is given as bytes.
Bytes batch_around(const Bytes& records) {
  Bytes batch = test::small_batch();
  batch.resize(k_batch_header_size);
  batch.insert(batch.end(), records.begin(), records.end());
  store_be<std::int32_t>(batch.data() + 8, static_cast<std::int32_t>(batch.size() - k_batch_length_base));
  store_be<std::int32_t>(batch.data() + 23, 0);
  store_be<std::int32_t>(batch.data() + 57, 1);
  test::seal(batch);
  return batch;
}

// attributes, timestamp delta, offset delta.
LyingRecord start(std::int32_t offset_delta = 0) {
  return LyingRecord().raw({"\0", 1}).number(0).number(offset_delta);
}

TEST(CheckBatchTest, TheBytesOfASmallBatchAreTheGoldenOnes) {
  test::expect_golden("record_batch_small", test::small_batch());
}

TEST(CheckBatchTest, AnHonestBatchPassesAndItsFieldsAreRead) {
  const Bytes batch = test::small_batch();
  const Result<BatchHeader> header = check_batch(batch);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->size(), batch.size());
  EXPECT_EQ(header->record_count, 3);
  EXPECT_EQ(header->offset_count(), 3u);
  EXPECT_EQ(header->base_timestamp, 1'700'000'000'000);
  EXPECT_EQ(header->max_timestamp, 1'700'000'000'250);
  EXPECT_EQ(header->codec(), Codec::none);
  EXPECT_EQ(header->producer_id, -1);
  Bytes again(k_batch_header_size);
  encode(*header, std::span(again).first<k_batch_header_size>());
  EXPECT_EQ(again, Bytes(batch.begin(), batch.begin() + k_batch_header_size));
}

struct Lie {
  const char* what;
  std::function<void(Bytes&)> tell;
  ErrorCode code;
  const char* message;
};

template <std::integral T>
std::function<void(Bytes&)> put(std::size_t at, T value) {
  return [at, value](Bytes& batch) { store_be<T>(batch.data() + at, value); };
}

template <std::integral T>
std::function<void(Bytes&)> put_sealed(std::size_t at, T value) {
  return [at, value](Bytes& batch) {
    store_be<T>(batch.data() + at, value);
    test::seal(batch);
  };
}

TEST(CheckBatchTest, EveryLieInTheHeaderIsRefusedWithItsCode) {
  constexpr auto invalid = ErrorCode::invalid_batch;
  const std::vector<Lie> lies = {
      {"nothing", [](Bytes& b) { b.clear(); }, ErrorCode::corrupt_batch, "at least 61"},
      {"half a header", [](Bytes& b) { b.resize(60); }, ErrorCode::corrupt_batch, "at least 61"},
      {"magic 1", put<std::int8_t>(16, 1), invalid, "magic 1"},
      {"magic 3", put<std::int8_t>(16, 3), invalid, "magic 3"},
      {"shorter than its length", [](Bytes& b) { b.pop_back(); }, invalid, "exactly one batch"},
      {"two batches",
       [](Bytes& b) {
         const Bytes second = b;
         b.insert(b.end(), second.begin(), second.end());
       },
       invalid, "exactly one batch"},
      {"negative length", put<std::int32_t>(8, -1), invalid, "exactly one batch"},
      {"largest length", put<std::int32_t>(8, std::numeric_limits<std::int32_t>::max()), invalid,
       "exactly one batch"},
      {"base offset", put<std::int64_t>(0, 1), invalid, "base offset 1"},
      {"CRC", put<std::uint32_t>(17, 12345), ErrorCode::corrupt_batch, "CRC-32C"},
      {"last byte", [](Bytes& b) { b.back() ^= std::byte{1}; }, ErrorCode::corrupt_batch, "CRC-32C"},
      {"no records", put_sealed<std::int32_t>(57, 0), invalid, "0 records"},
      {"negative records", put_sealed<std::int32_t>(57, -3), invalid, "-3 records"},
      {"last offset delta too small", put_sealed<std::int32_t>(23, 1), invalid, "last offset delta of 1"},
      {"last offset delta too large", put_sealed<std::int32_t>(23, 3), invalid, "last offset delta of 3"},
      {"last offset delta that wraps", put_sealed(23, std::numeric_limits<std::int32_t>::max()), invalid,
       "delta"},
      {"control", put_sealed<std::uint16_t>(21, 0x20), invalid, "control"},
      {"transactional", put_sealed<std::uint16_t>(21, 0x10), invalid, "transactions"},
      {"log append time", put_sealed<std::uint16_t>(21, 0x08), invalid, "0x0008"},
      {"delete horizon", put_sealed<std::uint16_t>(21, 0x40), invalid, "0x0040"},
      {"codec 5", put_sealed<std::uint16_t>(21, 5), ErrorCode::unsupported_compression, "codec 5"},
      {"codec 7", put_sealed<std::uint16_t>(21, 7), ErrorCode::unsupported_compression, "codec 7"},
      {"producer without epoch and sequence", put_sealed<std::int64_t>(43, 9), invalid, "producer id 9"},
      {"producer without sequence",
       [](Bytes& b) {
         store_be<std::int64_t>(b.data() + 43, 9);
         put_sealed<std::int16_t>(51, 0)(b);
       },
       invalid, "base sequence -1"},
      {"producer id -2", put_sealed<std::int64_t>(43, -2), invalid, "producer id -2"},
      {"fewer records than there are",
       [](Bytes& b) {
         store_be<std::int32_t>(b.data() + 23, 1);
         put_sealed<std::int32_t>(57, 2)(b);
       },
       invalid, "bytes follow the last of the batch's 2 records"},
      {"more records than there are",
       [](Bytes& b) {
         store_be<std::int32_t>(b.data() + 23, 3);
         put_sealed<std::int32_t>(57, 4)(b);
       },
       invalid, "record 3 of 4"},
  };
  for (const Lie& lie : lies) {
    Bytes batch = test::small_batch();
    lie.tell(batch);
    const Result<BatchHeader> checked = check_batch(batch);
    ASSERT_FALSE(checked) << lie.what;
    EXPECT_EQ(checked.error().code, lie.code) << lie.what << ": " << checked.error().message;
    EXPECT_THAT(checked.error().message, HasSubstr(lie.message)) << lie.what;
  }
}

TEST(CheckBatchTest, EveryLieInARecordIsRefused) {
  const std::vector<std::pair<const char*, Bytes>> lies = {
      {"length 0", {std::byte{0}}},
      {"negative length", {std::byte{1}}},
      {"length without end", Bytes(12, std::byte{0xff})},
      {"length one too many", start().number(-1).number(-1).number(0).bytes(1)},
      {"length one too few", start().number(-1).number(-1).number(0).bytes(-1)},
      {"length of 2 GiB", start().number(-1).number(-1).number(0).bytes(0x7ffffff0 - 6)},
      {"nothing but attributes", LyingRecord().raw("x").bytes()},
      {"offset delta 1 in the first place", start(1).number(-1).number(-1).number(0).bytes()},
      {"negative offset delta", start(-1).number(-1).number(-1).number(0).bytes()},
      {"key length -2", start().number(-2).number(-1).number(0).bytes()},
      {"key longer than the record", start().number(3).raw("k").number(-1).number(0).bytes()},
      {"key of 2 GiB", start().number(0x7fffffff).number(-1).number(0).bytes()},
      {"value length -2", start().number(-1).number(-2).number(0).bytes()},
      {"value longer than the record", start().number(-1).number(5).raw("val").number(0).bytes()},
      {"negative header count", start().number(-1).number(-1).number(-1).bytes()},
      {"one header that is not there", start().number(-1).number(-1).number(1).bytes()},
      {"2 G headers", start().number(-1).number(-1).number(0x7fffffff).bytes()},
      {"header without a key", start().number(-1).number(-1).number(1).number(-1).number(-1).bytes()},
      {"header key longer than the record",
       start().number(-1).number(-1).number(1).number(9).raw("k").number(-1).bytes()},
      {"header value length -2",
       start().number(-1).number(-1).number(1).number(1).raw("k").number(-2).bytes()},
      {"header value longer than the record",
       start().number(-1).number(-1).number(1).number(0).number(4).raw("v").bytes()},
      {"bytes after the headers", start().number(-1).number(-1).number(0).raw("!").bytes()},
      {"no record at all", {}},
  };
  for (const auto& [what, records] : lies) {
    const Result<BatchHeader> checked = check_batch(batch_around(records));
    ASSERT_FALSE(checked) << what;
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_batch) << what << ": " << checked.error().message;
  }
  // The vocabulary itself is right: the same words make an honest record.
  const auto honest = check_batch(batch_around(
      start().number(1).raw("k").number(3).raw("val").number(1).number(1).raw("h").number(-1).bytes()));
  EXPECT_TRUE(honest) << honest.error().message;
}

TEST(CheckBatchTest, ABatchCutAtAnyByteIsRefused) {
  const Bytes batch = test::small_batch();
  for (std::size_t size = 0; size < batch.size(); ++size) {
    const Bytes cut(batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(size));
    const auto code = size < k_batch_header_size ? ErrorCode::corrupt_batch : ErrorCode::invalid_batch;
    ASSERT_EQ(check_batch(cut).error().code, code) << size;
    ASSERT_EQ(verify_batch(cut).error().code, code) << size;
  }
}

TEST(CheckBatchTest, RecordsCutAtAnyByteAreRefusedAlthoughLengthAndCrcFit) {
  const Bytes batch = test::small_batch();
  for (std::size_t size = k_batch_header_size; size < batch.size(); ++size) {
    Bytes cut(batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(size));
    store_be<std::int32_t>(cut.data() + 8, static_cast<std::int32_t>(size - k_batch_length_base));
    test::seal(cut);
    ASSERT_EQ(check_batch(cut).error().code, ErrorCode::invalid_batch) << size;
  }
}

TEST(CheckBatchTest, EveryFlippedByteButTheLeaderEpochIsNoticed) {
  const Bytes batch = test::small_batch();
  for (std::size_t at = 0; at < batch.size(); ++at) {
    Bytes damaged = batch;
    damaged[at] ^= std::byte{0x55};
    const bool epoch = at >= 12 && at < 16;
    ASSERT_EQ(check_batch(damaged).has_value(), epoch) << at;
  }
}

TEST(CheckBatchTest, TheLimitIsTheCallers) {
  const Bytes batch = test::small_batch();
  const auto size = static_cast<std::uint32_t>(batch.size());
  EXPECT_TRUE(check_batch(batch, size));
  const Result<BatchHeader> checked = check_batch(batch, size - 1);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::record_too_large);
}

TEST(CheckBatchTest, AnIdempotentProducersBatchPasses) {
  Bytes batch = test::small_batch();
  store_be<std::int64_t>(batch.data() + 43, 9);
  store_be<std::int16_t>(batch.data() + 51, 0);
  store_be<std::int32_t>(batch.data() + 53, 77);
  test::seal(batch);
  const Result<BatchHeader> checked = check_batch(batch);
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_EQ(checked->producer_id, 9);
  EXPECT_EQ(checked->base_sequence, 77);
}

TEST(CheckBatchTest, CompressedRecordsAreTakenAsTheyAre) {
  for (const Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    Bytes batch = batch_around(test::copy_of(test::bytes_of("no record")));
    store_be<std::uint16_t>(batch.data() + 21, static_cast<std::uint16_t>(codec));
    test::seal(batch);
    const Result<BatchHeader> checked = check_batch(batch);
    ASSERT_TRUE(checked) << checked.error().message;
    EXPECT_EQ(checked->codec(), codec);
  }
}

TEST(VerifyBatchTest, ReadsTheFirstOfSeveralAndTakesWhatServersMayDo) {
  Bytes batches = test::small_batch();
  const std::size_t size = batches.size();
  store_be<std::int64_t>(batches.data(), 500);
  store_be<std::uint16_t>(batches.data() + 21, k_attribute_log_append_time);
  store_be<std::int32_t>(batches.data() + 23, 9);  // compaction took records away
  test::seal(batches);
  const Bytes second = test::small_batch();
  batches.insert(batches.end(), second.begin(), second.begin() + 20);
  const Bytes first(batches.begin(), batches.begin() + static_cast<std::ptrdiff_t>(size));
  const Result<BatchHeader> header = verify_batch(first);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->base_offset, Offset{500});
  EXPECT_EQ(header->offset_count(), 10u);
  EXPECT_EQ(verify_batch(std::span(batches).subspan(size)).error().code, ErrorCode::corrupt_batch);
}

TEST(VerifyBatchTest, LyingHeadersAreRefused) {
  const std::vector<std::pair<const char*, std::function<void(Bytes&)>>> lies = {
      {"magic", put<std::int8_t>(16, 0)},
      {"length below a header", put<std::int32_t>(8, 48)},
      {"negative length", put<std::int32_t>(8, std::numeric_limits<std::int32_t>::min())},
      {"length beyond the bytes", put<std::int32_t>(8, 1'000'000)},
      {"negative base offset", put<std::int64_t>(0, -1)},
      {"offsets that wrap", put<std::int64_t>(0, std::numeric_limits<std::int64_t>::max() - 2)},
      {"no records", put_sealed<std::int32_t>(57, 0)},
      {"more records than offsets", put_sealed<std::int32_t>(57, 4)},
  };
  for (const auto& [what, tell] : lies) {
    Bytes batch = test::small_batch();
    tell(batch);
    const Result<BatchHeader> verified = verify_batch(batch);
    ASSERT_FALSE(verified) << what;
    EXPECT_EQ(verified.error().code, ErrorCode::invalid_batch) << what;
  }
}

}  // namespace
}  // namespace millrace
