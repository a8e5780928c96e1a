#include "tools/table.h"

#include <gtest/gtest.h>

namespace millrace::tools {
namespace {

TEST(Table, NumbersStandToTheRightAndTextToTheLeft) {
  const Json rows = {{{"topic", "a"}, {"bytes", 5}, {"rate", 1.25}},
                     {{"topic", "longer"}, {"bytes", 12345}, {"rate", nullptr}}};
  EXPECT_EQ(table_of(rows),
            "topic   bytes  rate\n"
            "a           5   1.2\n"
            "longer  12345     -\n");
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
