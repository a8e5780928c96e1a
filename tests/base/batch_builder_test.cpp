#include "engine/base/batch_builder.h"

#include <gtest/gtest.h>

#include "engine/base/compression.h"
#include "engine/base/limits.h"
#include "tests/base/support.h"

namespace millrace {
namespace {

using test::Bytes;
using test::OwnedRecord;

RecordView value_of(ByteView value, std::int64_t timestamp = 1) {
  RecordView record;
  record.timestamp = timestamp;
  record.value = value;
  return record;
}

TEST(RecordBatchBuilderTest, WhatGoesInComesOutAndPassesTheServersCheck) {
  std::mt19937_64 random(42);
  for (int round = 0; round < 200; ++round) {
    std::vector<OwnedRecord> records(1 + random() % 40);
    for (OwnedRecord& record : records) record = test::random_record(random);
    const Codec codec = std::array{Codec::none, Codec::lz4, Codec::zstd}[random() % 3];
    const Bytes batch = test::batch_of(records, codec);
    const Result<BatchHeader> header = check_batch(batch);
    ASSERT_TRUE(header) << "round " << round << ": " << header.error().message;
    EXPECT_EQ(verify_batch(batch).value(), *header);
    const auto read = test::read_all(*header, batch);
    ASSERT_TRUE(read) << "round " << round << ": " << read.error().message;
    ASSERT_EQ(*read, records) << "round " << round;
    std::int64_t latest = records.front().timestamp;
    for (const OwnedRecord& record : records) latest = std::max(latest, record.timestamp);
    EXPECT_EQ(header->max_timestamp, latest);
    EXPECT_EQ(header->base_timestamp, records.front().timestamp);
  }
}

TEST(RecordBatchBuilderTest, ManyRecordsPassTheLimitsOfOneAndTwoByteNumbers) {
  BufferPool pool({.bytes_max = 64_MiB, .idle_bytes_max = 0});
  RecordBatchBuilder builder(pool, {.size_max = k_batch_size_max, .size_expected = 4096});
  constexpr std::int32_t k_records = 9'000;  // offset deltas take three bytes from 8,192 on
  for (std::int32_t i = 0; i < k_records; ++i) {
    ASSERT_EQ(builder.append(value_of(test::bytes_of("v"), i * std::int64_t{1'000'000})),
              BatchAppend::appended);
  }
  const Slice batch = builder.finish().value();
  const BatchHeader header = check_batch(batch.bytes()).value();
  RecordReader reader(header, batch.bytes().subspan(k_batch_header_size));
  RecordView record;
  for (std::int32_t i = 0; i < k_records; ++i) {
    ASSERT_TRUE(reader.next(record).value());
    ASSERT_EQ(record.offset, Offset{i});
    ASSERT_EQ(record.timestamp, i * std::int64_t{1'000'000});
  }
  EXPECT_FALSE(reader.next(record).value());
  EXPECT_FALSE(reader.next(record).value());
}

TEST(RecordBatchBuilderTest, SizeIsWhatFinishGivesAndFullLeavesTheBatchAsItWas) {
  BufferPool pool({.bytes_max = 1_MiB, .idle_bytes_max = 0});
  RecordBatchBuilder builder(pool, {.size_max = 1000, .size_expected = 1000});
  const Bytes value(100);
  EXPECT_EQ(builder.size(), 0u);
  while (builder.append(value_of(value)) == BatchAppend::appended) {
  }
  EXPECT_EQ(builder.append(value_of(value)), BatchAppend::full);
  const std::uint32_t size = builder.size();
  const std::uint32_t count = builder.count();
  EXPECT_EQ(count, 8u);  // 61 bytes of header and 109 a record
  const Slice batch = builder.finish().value();
  EXPECT_EQ(batch.length, size);
  EXPECT_LE(batch.length, 1000u);
  EXPECT_EQ(check_batch(batch.bytes()).value().offset_count(), count);
  EXPECT_EQ(builder.count(), 0u);
  EXPECT_EQ(builder.append(value_of(value)), BatchAppend::appended);
}

TEST(RecordBatchBuilderTest, ARecordThatFitsNoBatchSaysSo) {
  BufferPool pool({.bytes_max = 64_MiB, .idle_bytes_max = 0});
  RecordBatchBuilder builder(pool);
  const Bytes value(k_batch_size_max);
  EXPECT_EQ(builder.append(value_of(value)), BatchAppend::record_too_large);
  EXPECT_EQ(builder.append(value_of(ByteView(value).first(k_batch_size_max - 100))), BatchAppend::appended);
  EXPECT_TRUE(check_batch(builder.finish().value().bytes()));
}

TEST(RecordBatchBuilderTest, APoolWithoutMemoryMakesItWaitAndLosesNothing) {
  BufferPool pool({.bytes_max = 12_KiB, .idle_bytes_max = 0});
  RecordBatchBuilder builder(pool, {.size_max = k_batch_size_max, .size_expected = 4096});
  const Bytes value(3000);
  EXPECT_EQ(builder.append(value_of(value)), BatchAppend::appended);
  Buffer other = pool.acquire(4096).value();
  EXPECT_EQ(builder.append(value_of(value)), BatchAppend::overloaded);
  EXPECT_EQ(builder.count(), 1u);
  other = Buffer();
  EXPECT_EQ(builder.append(value_of(value)), BatchAppend::appended);
  const Slice batch = builder.finish().value();
  EXPECT_EQ(test::read_all(check_batch(batch.bytes()).value(), batch.bytes()).value().size(), 2u);
}

// A producer whose memory was used up lost the records that it had taken.
TEST(RecordBatchBuilderTest, WithoutMemoryToCompressABatchGoesAsItIs) {
  BufferPool pool({.bytes_max = 8_KiB, .idle_bytes_max = 0});
  for (const Codec codec : {Codec::lz4, Codec::zstd}) {
    RecordBatchBuilder builder(pool, {.size_max = 4096, .size_expected = 4096});
    const Bytes value(3000);
    ASSERT_EQ(builder.append(value_of(value)), BatchAppend::appended);
    const Buffer other = pool.acquire(4096).value();
    const Result<Slice> batch = builder.finish(codec);
    ASSERT_TRUE(batch) << batch.error().message;
    const auto header = check_batch(batch->bytes());
    ASSERT_TRUE(header) << header.error().message;
    EXPECT_EQ(header->codec(), Codec::none);
    EXPECT_EQ(test::read_all(*header, batch->bytes()).value().size(), 1u);
  }
}

TEST(RecordBatchBuilderTest, MemoryLeavesWithTheBatch) {
  BufferPool pool({.bytes_max = 1_MiB, .idle_bytes_max = 1_MiB});
  RecordBatchBuilder builder(pool, {.size_max = 4096, .size_expected = 4096});
  ASSERT_EQ(builder.append(value_of(test::bytes_of("x"))), BatchAppend::appended);
  {
    const Slice batch = builder.finish().value();
    EXPECT_EQ(pool.bytes_in_use(), 4_KiB);
  }
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(RecordBatchBuilderTest, AnEmptyBatchAndUnknownCodecsAreRefused) {
  BufferPool pool({.bytes_max = 1_MiB, .idle_bytes_max = 0});
  RecordBatchBuilder builder(pool);
  EXPECT_EQ(builder.finish().error().code, ErrorCode::invalid_argument);
  for (const Codec codec : {Codec::gzip, Codec::snappy}) {
    ASSERT_EQ(builder.append(value_of(test::bytes_of("x"))), BatchAppend::appended);
    EXPECT_EQ(builder.finish(codec).error().code, ErrorCode::unsupported_compression);
    EXPECT_EQ(builder.count(), 0u);
  }
}

TEST(RecordBatchBuilderTest, WhatDoesNotGetSmallerIsSentAsItIs) {
  std::mt19937_64 random(9);
  const std::vector<OwnedRecord> noise = {
      {.timestamp = 1, .key = std::nullopt, .value = test::random_bytes(random, 2000), .headers = {}}};
  const std::vector<OwnedRecord> zeros = {
      {.timestamp = 1, .key = std::nullopt, .value = Bytes(2000), .headers = {}}};
  for (const Codec codec : {Codec::lz4, Codec::zstd}) {
    EXPECT_EQ(check_batch(test::batch_of(noise, codec)).value().codec(), Codec::none);
    const Bytes packed = test::batch_of(zeros, codec);
    EXPECT_EQ(check_batch(packed).value().codec(), codec);
    EXPECT_LT(packed.size(), 200u);
  }
}

}  // namespace
}  // namespace millrace
