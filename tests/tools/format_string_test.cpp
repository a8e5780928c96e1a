// kcat's format strings, and where a consumer may begin.
#include "tools/format_string.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/start_offset.h"

namespace millrace::tools {
namespace {

using testing::HasSubstr;

ByteView view(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string print(std::string_view format, const RecordView& record) {
  std::string out;
  const auto parsed = FormatString::parse(format);
  if (!parsed) return "error: " + parsed.error().message;
  parsed->print("events", 3, record, out);
  return out;
}

TEST(FormatString, EveryFieldIsPrinted) {
  const std::vector<RecordHeader> headers{{"a", view("1")}, {"b", std::nullopt}};
  RecordView record;
  record.offset = Offset{42};
  record.timestamp = 1767225600000;
  record.key = view("key");
  record.value = view("value");
  record.headers = headers;
  EXPECT_EQ(print("%t/%p/%o %k=%s (%K, %S) %h %T %%", record),
            "events/3/42 key=value (3, 5) a=1,b=NULL 1767225600000 %");
}

TEST(FormatString, NoKeyAndNoValueHaveTheLengthMinusOne) {
  RecordView record;
  EXPECT_EQ(print("[%k|%K|%s|%S|%h]", record), "[|-1||-1|]");
  record.key = view("");
  EXPECT_EQ(print("%K", record), "0");
}

TEST(FormatString, EscapesStandForTheirBytes) {
  EXPECT_EQ(print("\\n\\r\\t\\\\\\x00\\x41\\xfF", {}), std::string("\n\r\t\\\0A\xff", 7));
}

TEST(FormatString, BytesOfRecordsGoOutAsTheyAre) {
  const std::string value("%s\\n\0\xff", 6);
  RecordView record;
  record.value = view(value);
  EXPECT_EQ(print("%s", record), value);
}

TEST(FormatString, WhatMeansNothingIsRefusedWithItsPlace) {
  EXPECT_THAT(print("ab%q", {}), HasSubstr("'%q' at character 3"));
  EXPECT_THAT(print("%", {}), HasSubstr("'%' at character 1"));
  EXPECT_THAT(print("\\q", {}), HasSubstr("'\\q' at character 1"));
  EXPECT_THAT(print("\\x4", {}), HasSubstr("'\\x' at character 1"));
  EXPECT_THAT(print("\\xgg", {}), HasSubstr("error"));
  EXPECT_THAT(print("x\\", {}), HasSubstr("at character 2"));
}

struct Place {
  const char* text;
  StartOffset::Query query;
  std::int64_t value;
};
void PrintTo(const Place& place, std::ostream* out) {
  *out << place.text;
}

class StartOffsetTest : public testing::TestWithParam<Place> {};

TEST_P(StartOffsetTest, IsUnderstood) {
  const auto parsed = StartOffset::parse(GetParam().text);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(parsed->query, GetParam().query);
  EXPECT_EQ(parsed->value, GetParam().value);
}

using Query = StartOffset::Query;
INSTANTIATE_TEST_SUITE_P(
    Places, StartOffsetTest,
    testing::Values(Place{"earliest", Query::earliest, 0}, Place{"latest", Query::latest, 0},
                    Place{"0", Query::offset, 0}, Place{"9223372036854775807", Query::offset, INT64_MAX},
                    Place{"@0", Query::timestamp, 0},
                    Place{"@1767225600000", Query::timestamp, 1767225600000},
                    Place{"@2026-01-01T00:00:00Z", Query::timestamp, 1767225600000},
                    Place{"@2026-01-01t01:00:00.25+01:00", Query::timestamp, 1767225600250},
                    Place{"@2025-12-31 23:30:00-00:30", Query::timestamp, 1767225600000},
                    Place{"@2024-02-29T00:00:00.123456Z", Query::timestamp, 1709164800123}));

TEST(StartOffset, AnythingElseIsRefused) {
  for (const char* text :
       {"", "1.5", "first", "9223372036854775808", "@", "@-1", "@2026-01-01", "@2026-13-01T00:00:00Z",
        "@2025-02-29T00:00:00Z", "@2026-01-01T24:00:00Z", "@2026-01-01T00:00:00", "@2026-01-01T00:00:00.Z",
        "@2026-01-01T00:00:00Zx", "@2026-01-01T00:00:00+24:00"}) {
    EXPECT_FALSE(StartOffset::parse(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace millrace::tools
