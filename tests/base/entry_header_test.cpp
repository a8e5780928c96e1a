#include "engine/base/entry_header.h"

#include <array>
#include <cstring>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/base/record_batch.h"
#include "engine/base/trim_payload.h"
#include "tests/base/support.h"

namespace millrace {
namespace {

using HeaderBytes = std::array<std::byte, k_entry_header_size>;

EntryHeader batch_entry() {
  return {.header_checksum = 0,
          .payload_checksum = 0x1122334455667788,
          .prev_checksum = 0x99aabbccddeeff00,
          .index = Index{7},
          .group = GroupId{42},
          .offset_count = 3,
          .type = EntryType::batch,
          .version = k_entry_version,
          .flags = 0,
          .base_offset = Offset{1000},
          .batch_length = 120,
          .term = Term{5}};
}

HeaderVerdict verdict_of(const HeaderBytes& bytes) {
  EntryHeader header;
  return decode(bytes, header);
}

TEST(EntryHeaderTest, BytesOfABatchsEntryAreTheGoldenOnes) {
  HeaderBytes bytes{};
  encode(batch_entry(), bytes);
  test::expect_golden("entry_header_batch", bytes);
}

TEST(EntryHeaderTest, AWholeTrimEntryIsTheGoldenOne) {
  const auto payload = encode(TrimPayload{.start_index = Index{100}, .start_offset = Offset{2500}});
  EntryHeader header{.header_checksum = 0,
                     .payload_checksum = xxh3(payload),
                     .prev_checksum = 1,
                     .index = Index{101},
                     .group = GroupId{3},
                     .offset_count = 0,
                     .type = EntryType::trim,
                     .version = k_entry_version,
                     .flags = 0,
                     .base_offset = Offset{2600},
                     .batch_length = k_entry_batch_length_min + static_cast<std::int32_t>(payload.size()),
                     .term = Term{2}};
  test::Bytes entry(padded_entry_size(header.batch_length));
  encode(header, std::span(entry).first<k_entry_header_size>());
  std::memcpy(entry.data() + k_entry_header_size, payload.data(), payload.size());
  test::expect_golden("entry_trim", entry);
  EXPECT_EQ(entry.size(), k_entry_header_size + payload.size());
  EXPECT_TRUE(check_payload(header, payload));
}

TEST(EntryHeaderTest, DecodingGivesBackWhatWasEncoded) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1'000; ++i) {
    EntryHeader header = batch_entry();
    header.payload_checksum = random();
    header.prev_checksum = random();
    header.index = Index{random() | 1};
    header.group = GroupId{random()};
    header.offset_count = 1 + static_cast<std::uint32_t>(random() % 1'000'000);
    header.flags = static_cast<std::uint16_t>(random());
    header.base_offset = Offset{static_cast<std::int64_t>(random() >> 2)};
    header.batch_length = 49 + static_cast<std::int32_t>(random() % 1'000'000);
    header.term = Term{1 + static_cast<std::int32_t>(random() >> 34)};
    HeaderBytes bytes{};
    header.header_checksum = encode(header, bytes);
    EntryHeader decoded;
    ASSERT_EQ(decode(bytes, decoded), HeaderVerdict::valid);
    ASSERT_EQ(decoded, header);
    ASSERT_EQ(decode_entry_header(bytes).value(), header);
  }
}

// The leader assigns offset and term by writing the header over the first 16 bytes of the batch that it
// received.
TEST(EntryHeaderTest, TheBatchStandsContiguousFromByte48AndKeepsItsCrc) {
  const test::Bytes batch = test::small_batch();
  test::Bytes entry(k_batch_offset_in_entry + batch.size());
  std::memcpy(entry.data() + k_batch_offset_in_entry, batch.data(), batch.size());
  EntryHeader header = batch_entry();
  header.batch_length = verify_batch(batch)->length;
  const auto payload = std::span(entry).subspan(k_entry_header_size);
  header.payload_checksum = xxh3(payload);
  encode(header, std::span(entry).first<k_entry_header_size>());

  EXPECT_EQ(entry_size(header.batch_length), entry.size());
  EXPECT_EQ(header.payload_size(), payload.size());
  EXPECT_TRUE(check_payload(header, payload));
  const Result<BatchHeader> stored = verify_batch(std::span(entry).subspan(k_batch_offset_in_entry));
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(stored->base_offset, Offset{1000});
  EXPECT_EQ(stored->partition_leader_epoch, Term{5});
  EXPECT_EQ(stored->length, header.batch_length);
  EXPECT_EQ(header.next_offset(), Offset{1003});
}

TEST(EntryHeaderTest, EveryFlippedBitIsNoticed) {
  HeaderBytes bytes{};
  encode(batch_entry(), bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    HeaderBytes damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    ASSERT_EQ(verdict_of(damaged), HeaderVerdict::checksum_mismatch) << bit;
  }
}

TEST(EntryHeaderTest, EightZeroBytesMeanNothingMore) {
  HeaderBytes bytes{};
  EXPECT_EQ(verdict_of(bytes), HeaderVerdict::end);
  bytes[63] = std::byte{1};
  EXPECT_EQ(verdict_of(bytes), HeaderVerdict::end);
}

struct Damage {
  const char* what;
  std::function<void(EntryHeader&)> make;
  HeaderVerdict verdict;
};

TEST(EntryHeaderTest, WholeHeadersWithFieldsOutOfRangeAreRefused) {
  const std::vector<Damage> damages = {
      {"index 0", [](EntryHeader& h) { h.index = Index{0}; }, HeaderVerdict::invalid_field},
      {"term 0", [](EntryHeader& h) { h.term = Term{0}; }, HeaderVerdict::invalid_field},
      {"negative term", [](EntryHeader& h) { h.term = Term{-1}; }, HeaderVerdict::invalid_field},
      {"negative offset", [](EntryHeader& h) { h.base_offset = Offset{-1}; }, HeaderVerdict::invalid_field},
      {"offsets that wrap",
       [](EntryHeader& h) { h.base_offset = Offset{std::numeric_limits<std::int64_t>::max() - 2}; },
       HeaderVerdict::invalid_field},
      {"no offsets", [](EntryHeader& h) { h.offset_count = 0; }, HeaderVerdict::invalid_field},
      {"too many offsets", [](EntryHeader& h) { h.offset_count = 0x80000000u; },
       HeaderVerdict::invalid_field},
      {"shorter than a batch", [](EntryHeader& h) { h.batch_length = 48; }, HeaderVerdict::invalid_field},
      {"longer than the limit", [](EntryHeader& h) { h.batch_length = k_entry_batch_length_max + 1; },
       HeaderVerdict::invalid_field},
      {"negative length", [](EntryHeader& h) { h.batch_length = -1; }, HeaderVerdict::invalid_field},
      {"offsets in a no-op", [](EntryHeader& h) { h.type = EntryType::no_op; }, HeaderVerdict::invalid_field},
      {"no-op shorter than its header",
       [](EntryHeader& h) {
         h.type = EntryType::no_op;
         h.offset_count = 0;
         h.batch_length = 3;
       },
       HeaderVerdict::invalid_field},
      {"type 0", [](EntryHeader& h) { h.type = EntryType{0}; }, HeaderVerdict::unknown_type},
      {"type 6", [](EntryHeader& h) { h.type = EntryType{6}; }, HeaderVerdict::unknown_type},
      {"version 2", [](EntryHeader& h) { h.version = 2; }, HeaderVerdict::unknown_version},
  };
  for (const Damage& damage : damages) {
    EntryHeader header = batch_entry();
    damage.make(header);
    HeaderBytes bytes{};
    encode(header, bytes);
    EXPECT_EQ(verdict_of(bytes), damage.verdict) << damage.what << ": " << name(verdict_of(bytes));
    const Result<EntryHeader> decoded = decode_entry_header(bytes);
    ASSERT_FALSE(decoded) << damage.what;
    EXPECT_EQ(decoded.error().code, damage.verdict == HeaderVerdict::unknown_version
                                        ? ErrorCode::unsupported_version
                                        : ErrorCode::corruption)
        << damage.what;
  }
}

TEST(EntryHeaderTest, TheLargestBatchFitsAndEveryTypeMayBeEmptyButABatch) {
  EntryHeader header = batch_entry();
  header.batch_length = k_entry_batch_length_max;
  HeaderBytes bytes{};
  encode(header, bytes);
  EXPECT_EQ(verdict_of(bytes), HeaderVerdict::valid);
  EXPECT_EQ(entry_size(header.batch_length), k_batch_offset_in_entry + k_batch_size_max);
  for (const EntryType type : {EntryType::no_op, EntryType::configuration, EntryType::trim, EntryType::gap}) {
    header.type = type;
    header.offset_count = 0;
    header.batch_length = k_entry_batch_length_min;
    encode(header, bytes);
    EXPECT_EQ(verdict_of(bytes), HeaderVerdict::valid) << static_cast<int>(type);
    EXPECT_EQ(header.payload_size(), 0u);
  }
}

TEST(EntryHeaderTest, FewerThan64BytesAreCorruption) {
  HeaderBytes bytes{};
  encode(batch_entry(), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const test::Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_EQ(decode_entry_header(cut).error().code, ErrorCode::corruption) << size;
  }
}

TEST(EntryHeaderTest, APayloadOfAnotherSizeOrContentIsNotTheHeaders) {
  test::Bytes payload = test::copy_of(test::bytes_of("twelve bytes"));
  EntryHeader header = batch_entry();
  header.type = EntryType::configuration;
  header.offset_count = 0;
  header.batch_length = k_entry_batch_length_min + 12;
  header.payload_checksum = xxh3(payload);
  EXPECT_TRUE(check_payload(header, payload));
  EXPECT_FALSE(check_payload(header, ByteView(payload).first(11)));
  payload[3] ^= std::byte{1};
  EXPECT_FALSE(check_payload(header, payload));
}

TEST(EntryHeaderTest, SizesArePaddedToEight) {
  EXPECT_EQ(padded_size(0), 0u);
  EXPECT_EQ(padded_size(1), 8u);
  EXPECT_EQ(padded_size(64), 64u);
  EXPECT_EQ(padded_entry_size(k_entry_batch_length_min), 64u);
  EXPECT_EQ(padded_entry_size(k_entry_batch_length_min + 1), 72u);
}

TEST(TrimPayloadTest, RoundTripsAndRefusesWhatIsNone) {
  const TrimPayload trim{.start_index = Index{9}, .start_offset = Offset{0}};
  const auto bytes = encode(trim);
  EXPECT_EQ(decode_trim_payload(bytes).value(), trim);
  EXPECT_EQ(decode_trim_payload(std::span(bytes).first(15)).error().code, ErrorCode::corruption);
  EXPECT_EQ(decode_trim_payload(test::Bytes(17)).error().code, ErrorCode::corruption);
  EXPECT_FALSE(decode_trim_payload(encode(TrimPayload{.start_index = Index{0}, .start_offset = Offset{1}})));
  EXPECT_FALSE(decode_trim_payload(encode(TrimPayload{.start_index = Index{1}, .start_offset = Offset{-1}})));
}

}  // namespace
}  // namespace millrace
