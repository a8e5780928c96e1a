#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/units.h"
#include "engine/base/uuid.h"
#include "tests/base/support.h"

namespace millrace {
namespace {

using testing::HasSubstr;

TEST(UuidTest, TextIsTheWayBackToTheBytes) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 100; ++i) {
    TopicId id;
    std::ranges::copy(test::random_bytes(random, 16), id.bytes.begin());
    const Result<TopicId> parsed = parse_uuid<TopicId>(to_string(id));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, id);
  }
}

TEST(UuidTest, TextHasTheUsualForm) {
  const Result<ClusterId> id = parse_uuid<ClusterId>("0123ABCD-4567-89ab-cdef-0123456789ab");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->bytes[0], std::byte{0x01});
  EXPECT_EQ(id->bytes[15], std::byte{0xab});
  EXPECT_EQ(to_string(*id), "0123abcd-4567-89ab-cdef-0123456789ab");
  EXPECT_EQ(parse_uuid<ClusterId>("0123abcd456789abcdef0123456789AB").value(), *id) << "the digits alone";
}

TEST(UuidTest, AnythingElseIsRefused) {
  for (const std::string_view text :
       {"", "0123abcd", "0123abcd456789abcdef0123456789a", "0123abcd456789abcdef0123456789ag",
        "0123abcd-4567-89ab-cdef-0123456789a", "0123abcd-4567-89ab-cdef-0123456789abc",
        "0123abcd-4567-89ab-cdef-0123456789ag", "0123abcd-4567-89abc-def-0123456789ab",
        "0123abcd-4567-89ab-cdef-01234567-9ab"}) {
    const auto parsed = parse_uuid<TopicId>(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(parsed.error().message, HasSubstr("8-4-4-4-12"));
  }
}

TEST(HexTest, BothCasesAreReadAndLowerCaseIsWritten) {
  EXPECT_EQ(to_hex(parse_hex("00fF1a").value()), "00ff1a");
  EXPECT_EQ(to_hex(parse_hex("").value()), "");
  EXPECT_THAT(parse_hex("0").error().message, HasSubstr("two a byte"));
  EXPECT_THAT(parse_hex("001x").error().message, HasSubstr("'x' at 3"));
}

TEST(UnitsTest, SizesAreReadInPowersOf1024And1000) {
  EXPECT_EQ(parse_size("0").value(), 0u);
  EXPECT_EQ(parse_size("4096").value(), 4096u);
  EXPECT_EQ(parse_size("64KiB").value(), 65536u);
  EXPECT_EQ(parse_size("1 GiB").value(), 1u << 30);
  EXPECT_EQ(parse_size("10mb").value(), 10'000'000u);
  EXPECT_EQ(parse_size("12B").value(), 12u);
  EXPECT_EQ(parse_size("18446744073709551615").value(), 18446744073709551615u);
}

TEST(UnitsTest, WhatIsNoSizeIsRefusedWithWhatIsExpected) {
  for (const std::string_view text :
       {"", "MiB", "-1", "1.5GiB", "10 parsecs", "18446744073709551616", "16777216TiB", "1K"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_THAT(size.error().message, HasSubstr("as in 64MiB"));
  }
}

TEST(UnitsTest, DurationsNeedAUnit) {
  EXPECT_EQ(parse_duration("250ms").value(), std::chrono::milliseconds(250));
  EXPECT_EQ(parse_duration("5 m").value(), std::chrono::minutes(5));
  EXPECT_EQ(parse_duration("1h").value(), std::chrono::hours(1));
  EXPECT_EQ(parse_duration("7d").value(), std::chrono::hours(168));
  EXPECT_EQ(parse_duration("3us").value(), std::chrono::microseconds(3));
  EXPECT_EQ(parse_duration("0").value(), Duration(0));
  for (const std::string_view text : {"", "5", "5x", "s", "-1s", "300000d"}) {
    const auto duration = parse_duration(text);
    ASSERT_FALSE(duration) << text;
    EXPECT_THAT(duration.error().message, HasSubstr("as in 250ms"));
  }
}

TEST(UnitsTest, SizesAreWrittenInTheLargestUnitThatFits) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(1024), "1 KiB");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
  EXPECT_EQ(format_size((1u << 20) - 1), "1023.9 KiB");
  EXPECT_EQ(format_size(256u << 20), "256 MiB");
  EXPECT_EQ(format_size(18446744073709551615u), "15.9 EiB");
}

TEST(UnitsTest, DurationsAreWrittenInTheirTwoLargestUnits) {
  using namespace std::chrono_literals;
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_duration(250ms), "250ms");
  EXPECT_EQ(format_duration(1500ms), "1s 500ms");
  EXPECT_EQ(format_duration(10min), "10m");
  EXPECT_EQ(format_duration(583'123ms), "9m 43s");
  EXPECT_EQ(format_duration(7 * 24h), "7d");
  EXPECT_EQ(format_duration(24h + 5min), "1d");
  EXPECT_EQ(format_duration(7ns), "7ns");
}

}  // namespace
}  // namespace millrace
