#include "tools/table.h"

#include <gtest/gtest.h>

namespace millrace::tools {
namespace {

TEST(Table, NumbersStandToTheRightAndTextToTheLeft) {
  const Json rows = {{{"topic", "a"}, {"offset", 5}, {"rate", 1.25}},
                     {{"topic", "longer"}, {"offset", 12345}, {"rate", nullptr}}};
  EXPECT_EQ(table_of(rows),
            "topic   offset  rate\n"
            "a            5   1.2\n"
            "longer   12345     -\n");
}

TEST(Table, SizesAndDurationsStandInUnitsThatPeopleRead) {
  const Json rows = {{{"segment_bytes", 268435456}, {"retention_age_ms", 604800000}, {"bytes", 12474}},
                     {{"segment_bytes", nullptr}, {"retention_age_ms", 1500}, {"bytes", 0}}};
  EXPECT_EQ(table_of(rows),
            "segment_bytes  retention_age     bytes\n"
            "      256 MiB             7d  12.1 KiB\n"
            "            -       1s 500ms       0 B\n");
  EXPECT_EQ(list_of({{"uptime_ms", 583000}, {"shards", 1}}), "uptime  9m 43s\nshards  1\n");
  EXPECT_EQ(json_text({{"uptime_ms", 583000}}), "{\n  \"uptime_ms\": 583000\n}\n");
}

TEST(Table, WithoutRowsItSaysSo) {
  EXPECT_EQ(table_of(Json::array()), "(none)\n");
}

TEST(Table, AListLeavesOutWhatIsNested) {
  EXPECT_EQ(list_of({{"topic", "a"}, {"partitions", 2}, {"more", Json::array()}, {"kept", true}}),
            "topic       a\n"
            "partitions  2\n"
            "kept        yes\n");
}

TEST(Table, JsonKeepsTheOrderAndReplacesWhatIsNoUtf8) {
  EXPECT_EQ(json_text({{"z", 1}, {"a", "\xff"}}), "{\n  \"z\": 1,\n  \"a\": \"\xEF\xBF\xBD\"\n}\n");
}

}  // namespace
}  // namespace millrace::tools
