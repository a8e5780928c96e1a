// The segment's bytes. The golden ones are what version 1 has written: they stay readable.
#include "engine/log/segment_format.h"

#include <gtest/gtest.h>

#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/base/limits.h"
#include "tests/log/golden_bytes.h"

namespace millrace::test {
namespace {

constexpr const char* k_header_hex =
    "a8bfc996978feb414d525345474d4e5401000000000000000001020304050607"
    "08090a0b0c0d0e0f030000000000000002000000000000000a00000000000000"
    "111100000000000000a8da769b01";

SegmentHeader some_header() {
  return {counted_id<ClusterId>(0), GroupId{3}, Index{2}, Offset{10}, 0x1111, WallTime{1'767'225'600'000}};
}

Bytes encoded(const SegmentHeader& header) {
  Bytes bytes(k_block_size, std::byte{0xff});
  encode_segment_header(header, bytes);
  return bytes;
}

TEST(SegmentFormat, AHeaderIsWrittenAsTheGoldenBytes) {
  EXPECT_EQ(to_golden(encoded(some_header())), k_header_hex);
}

TEST(SegmentFormat, AGoldenHeaderIsRead) {
  const auto header = decode_segment_header(from_golden(k_header_hex, k_block_size));
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(*header, some_header());
}

TEST(SegmentFormat, AHeaderWithAnyByteFlippedIsRefused) {
  for (std::size_t at = 0; at < k_block_size; ++at) {
    Bytes bytes = encoded(some_header());
    bytes[at] ^= std::byte{0x01};
    EXPECT_EQ(decode_segment_header(bytes).error().code, ErrorCode::corruption) << "byte " << at;
  }
}

TEST(SegmentFormat, ATruncatedHeaderIsRefused) {
  const Bytes bytes = encoded(some_header());
  for (const std::size_t length : {0U, 7U, 80U, 4095U}) {
    EXPECT_EQ(decode_segment_header(std::span(bytes).first(length)).error().code, ErrorCode::corruption);
  }
}

TEST(SegmentFormat, AnotherVersionIsRefusedByName) {
  Bytes bytes = encoded(some_header());
  store_le<std::uint32_t>(bytes.data() + 16, 2);
  store_le<std::uint64_t>(bytes.data(), xxh3(std::span(bytes).subspan(8)));
  const auto header = decode_segment_header(bytes);
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code, ErrorCode::unsupported_version);
  EXPECT_NE(header.error().message.find("version 2, this program reads 1"), std::string::npos);
}

// ---- footers
// ------------------------------------------------------------------------------------------------------------

constexpr const char* k_footer_hex =
    "010000004000000002000000000000000a000000000000000010000000000000"
    "e803000000000000040000000000000019000000000000000020040000000000"
    "d007000000000000020000002800000004000000000000001e00000000000000"
    "22220000000000000030040000000000d0070000000000000300000008000000"
    "00a8da769b01";
constexpr const char* k_trailer_hex = "a5259aa730b7c9a54d52464f4f5445520030040000000000880000000000000001";

SegmentFooter some_footer() {
  SegmentFooter footer;
  footer.index = {{Index{2}, Offset{10}, 4096, 1000}, {Index{4}, Offset{25}, 270'336, 2000}};
  footer.end = {Index{4}, Offset{30}, 0x2222};
  footer.end_position = 274'432;
  footer.max_timestamp = 2000;
  footer.sealed_at = WallTime{1'767'225'600'000};
  return footer;
}

Bytes encoded(const SegmentFooter& footer) {
  Bytes bytes(footer_size(footer), std::byte{0xff});
  encode_footer(footer, bytes);
  return bytes;
}

Bytes golden_footer() {
  Bytes bytes = from_golden(k_footer_hex, k_block_size);
  const Bytes trailer = from_golden(k_trailer_hex, k_footer_trailer_size);
  std::ranges::copy(trailer, bytes.end() - k_footer_trailer_size);
  return bytes;
}

// As a reader finds it: the end of the file first.
Result<SegmentFooter> read(std::span<const std::byte> footer, std::uint64_t file_size) {
  const auto position = footer_position(footer.last(k_footer_trailer_size), file_size);
  if (!position) return fail(ErrorCode::not_found, "no trailer");
  return decode_footer(footer, *position);
}

TEST(SegmentFormat, AFooterIsWrittenAsTheGoldenBytes) {
  EXPECT_EQ(encoded(some_footer()), golden_footer());
}

TEST(SegmentFormat, AGoldenFooterIsRead) {
  const auto footer = read(golden_footer(), 274'432 + k_block_size);
  ASSERT_TRUE(footer) << footer.error().message;
  EXPECT_EQ(*footer, some_footer());
}

TEST(SegmentFormat, AFooterOfManyBlocksIsRead) {
  SegmentFooter footer = some_footer();
  footer.end_position = std::uint64_t{1'000} * k_block_size;
  footer.index.clear();
  for (std::uint64_t i = 1; i < 1'000; ++i) {
    footer.index.push_back({Index{i}, Offset{static_cast<std::int64_t>(i)}, i * k_block_size, 5});
  }
  footer.end = {Index{1'000}, Offset{1'000}, 1};
  const auto read_back = read(encoded(footer), footer.end_position + footer_size(footer));
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ(*read_back, footer);
}

TEST(SegmentFormat, AFooterBehindACutEntryBeginsOnTheNextBlock) {
  SegmentFooter footer = some_footer();
  footer.end_position = 274'432 - 1'000;
  const auto read_back = read(encoded(footer), 274'432 + k_block_size);
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ(read_back->end_position, 274'432U - 1'000U);
}

TEST(SegmentFormat, AFooterWithAnyByteFlippedIsNone) {
  for (std::size_t at = 0; at < k_block_size; ++at) {
    Bytes bytes = golden_footer();
    bytes[at] ^= std::byte{0x80};
    EXPECT_FALSE(read(bytes, 274'432 + k_block_size)) << "byte " << at;
  }
}

TEST(SegmentFormat, AFooterOfAFileOfAnotherSizeIsNone) {
  for (const std::uint64_t size : {0U, 4096U, 274'432U, 274'432U + 2 * k_block_size})
    EXPECT_FALSE(read(golden_footer(), size));
}

TEST(SegmentFormat, ASparseIndexOutOfOrderIsRefused) {
  SegmentFooter footer = some_footer();
  std::swap(footer.index[0], footer.index[1]);
  EXPECT_FALSE(read(encoded(footer), 274'432 + k_block_size));
  footer = some_footer();
  footer.index[1].position = footer.end_position;
  EXPECT_FALSE(read(encoded(footer), 274'432 + k_block_size));
}

// A reader that began there read eight bytes over the end of its buffer.
TEST(SegmentFormat, AFooterThatNamesAPositionBetweenTwoEntriesIsRefused) {
  SegmentFooter footer = some_footer();
  footer.index[1].position = 274'432 - 7;
  EXPECT_FALSE(read(encoded(footer), 274'432 + k_block_size));
  footer = some_footer();
  footer.end_position -= 7;
  EXPECT_FALSE(read(encoded(footer), 274'432 + k_block_size));
}

}  // namespace
}  // namespace millrace::test
