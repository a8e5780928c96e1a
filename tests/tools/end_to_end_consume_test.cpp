// millrace consume, the real binary over loopback: where it begins, what it prints, and when it ends.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/tools/end_to_end.h"

namespace millrace::tools::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST_F(EndToEnd, AFollowerThatIsInterruptedHasDoneItsWork) {
  output_of({"produce", "t"}, "one\n");
  for (const int signal : {SIGINT, SIGTERM}) {
    Process consumer({"consume", "t"}, {{"MILLRACE_SERVER", server_.address()}});
    EXPECT_EQ(consumer.read_line(), "one\n");
    consumer.signal(signal);
    EXPECT_EQ(consumer.wait(), k_exit_ok);
    EXPECT_EQ(consumer.errors(), "");
  }
  Process counting({"consume", "t", "-n", "2"}, {{"MILLRACE_SERVER", server_.address()}});
  EXPECT_EQ(counting.read_line(), "one\n");
  counting.signal(SIGINT);
  EXPECT_EQ(counting.wait(), k_exit_signal + SIGINT) << "one of two";
}

// It hears signals while it writes, and so it hears the server.
TEST_F(EndToEnd, AConsumerIsAliveWhileItsOutputStandsStill) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += "line " + std::to_string(i) + "\n";
  output_of({"produce", "t"}, text);
  Process consumer({"consume", "t"}, {{"MILLRACE_SERVER", server_.address()}});
  EXPECT_EQ(consumer.read_line(), "line 0\n");
  consumer.signal(SIGINT);
  consumer.signal(SIGTERM);
  EXPECT_EQ(consumer.wait(), k_exit_signal + SIGTERM);
}

TEST_F(EndToEnd, AConsumerThatIsInterruptedPrintsWholeLines) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += "line " + std::to_string(i) + "\n";
  output_of({"produce", "t"}, text);
  Process consumer({"consume", "t"}, {{"MILLRACE_SERVER", server_.address()}});
  const std::string first = consumer.read_line();
  consumer.signal(SIGINT);
  const std::string printed = first + consumer.rest_of_output();
  EXPECT_TRUE(text.starts_with(printed) && printed.ends_with("\n")) << printed.size();
  EXPECT_EQ(consumer.wait(), k_exit_ok);
}

TEST_F(EndToEnd, AConsumerBeginsWhereItIsTold) {
  output_of({"produce", "t"}, "a\nb\nc\n");
  EXPECT_EQ(consume("t", {"-o", "1"}), "b\nc\n");
  EXPECT_EQ(consume("t", {"-o", "earliest", "-n", "2"}), "a\nb\n");
  EXPECT_EQ(consume("t", {"-o", "latest"}), "");
  EXPECT_EQ(consume("t", {"-o", "3"}), "");
  EXPECT_EQ(consume("t", {"-n", "0"}), "");
  const Finished beyond = millrace({"consume", "t", "-o", "4"});
  EXPECT_EQ(beyond.status, k_exit_failure);
  EXPECT_THAT(beyond.errors, HasSubstr("offset 4"));
  const Finished to_the_end = millrace({"consume", "t", "-e", "-o", "4"});
  EXPECT_EQ(to_the_end.status, k_exit_failure);
  EXPECT_THAT(to_the_end.errors, HasSubstr("t/0: offset 4 is beyond the end, 3"));
}

TEST_F(EndToEnd, AnOffsetThatSomePartitionsDoNotHaveIsTheirNearestEnd) {
  output_of({"topic", "create", "t", "-p", "3"});
  output_of({"produce", "t", "-p", "0"}, "a\nb\nc\n");
  output_of({"produce", "t", "-p", "1"}, "d\n");
  const Finished read = millrace({"consume", "t", "-e", "-o", "2"});
  EXPECT_EQ(read.status, k_exit_ok);
  EXPECT_EQ(read.output, "c\n");
  EXPECT_EQ(read.errors,
            "millrace consume: t/1 begins at 0 and ends at 1: read from 1 on\n"
            "millrace consume: t/2 begins at 0 and ends at 0: read from 0 on\n");
  for (const char* line : {"x\n", "y\n"}) output_of({"produce", "t", "-p", "2"}, line);
  output_of({"topic", "trim", "t", "-p", "2", "--before", "1"});
  const Finished trimmed = millrace({"consume", "t", "-e", "-o", "0"});
  EXPECT_THAT(trimmed.output, HasSubstr("y\n"));
  EXPECT_EQ(trimmed.errors, "millrace consume: t/2 begins at 1 and ends at 2: read from 1 on\n");
}

TEST_F(EndToEnd, APlaceMayBeGivenAsKcatDoes) {
  output_of({"topic", "create", "t", "-p", "2"});
  for (const char* line : {"a\n", "b\n", "c\n"}) output_of({"produce", "t", "-p", "0"}, line);
  output_of({"produce", "t", "-p", "1"}, "d\n");
  EXPECT_EQ(consume("t", {"-p", "0", "-o", "beginning"}), "a\nb\nc\n");
  EXPECT_EQ(consume("t", {"-o", "end"}), "");
  EXPECT_EQ(consume("t", {"-o", "-2", "-p", "0"}), "b\nc\n");
  EXPECT_EQ(consume("t", {"-o", "-2", "-p", "1"}), "d\n");
  EXPECT_EQ(lines_of(consume("t", {"-o-1"})).size(), 2u) << "the last of each";
  EXPECT_EQ(consume("t", {"--offset=-1", "-p", "0"}), "c\n");
  output_of({"topic", "trim", "t", "--before", "-1"});
  EXPECT_EQ(consume("t", {"-p", "0"}), "c\n");
}

TEST_F(EndToEnd, ATimestampIsAPlaceToBegin) {
  for (const char* text : {"a\n", "b\n", "c\n"}) output_of({"produce", "t"}, text);
  const auto stamps = lines_of(consume("t", {"-f", "%T\\n"}));
  ASSERT_EQ(stamps.size(), 3u);
  // The first record with this timestamp or a later one.
  const auto first = std::ranges::find(stamps, stamps[1]) - stamps.begin();
  EXPECT_EQ(lines_of(consume("t", {"-o", "@" + stamps[1], "-f", "%o\\n"})).at(0), std::to_string(first));
  EXPECT_EQ(consume("t", {"-o", "@2000-01-01T00:00:00Z"}), "a\nb\nc\n");
  EXPECT_EQ(consume("t", {"-o", "@2100-01-01T00:00:00Z"}), "");
}

TEST_F(EndToEnd, AFollowerPrintsWhatIsProducedLater) {
  output_of({"topic", "create", "t"});
  Process consumer({"consume", "t", "-n", "2"}, {{"MILLRACE_SERVER", server_.address()}});
  output_of({"produce", "t"}, "one\n");
  EXPECT_EQ(consumer.read_line(), "one\n");
  output_of({"produce", "t"}, "two\nthree\n");
  EXPECT_EQ(consumer.read_line(), "two\n");
  EXPECT_EQ(consumer.wait(), k_exit_ok);
  EXPECT_EQ(consumer.rest_of_output(), "");
}

TEST_F(EndToEnd, AFollowerOutlivesARestartOfTheServer) {
  output_of({"produce", "t"}, "one\n");
  Process consumer({"consume", "t"}, {{"MILLRACE_SERVER", server_.address()}});
  EXPECT_EQ(consumer.read_line(), "one\n");
  EXPECT_EQ(server_.stop(), 0);
  ServerProcess again(folder_.path("data"), {"--listen", server_.address()});
  output_of({"produce", "t"}, "two\n");
  EXPECT_EQ(consumer.read_line(), "two\n");
  consumer.signal(SIGINT);
  EXPECT_EQ(consumer.wait(), k_exit_ok);
  const auto said = lines_of(consumer.errors());
  ASSERT_EQ(said.size(), 2u) << "once that it is away, once that it is back";
  EXPECT_THAT(said[0], StartsWith("millrace consume: " + server_.address() + " gives no records ("));
  EXPECT_THAT(said[0], testing::EndsWith("; trying again for 30s"));
  EXPECT_EQ(said[1], "millrace consume: " + server_.address() + " answers again");
}

TEST_F(EndToEnd, AConsumerWhoseReaderHasGoneEndsQuietly) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += "line " + std::to_string(i) + "\n";
  output_of({"produce", "t"}, text);
  Process consumer({"consume", "t"}, {{"MILLRACE_SERVER", server_.address()}});
  EXPECT_EQ(consumer.read_line(), "line 0\n");
  consumer.close_output();
  EXPECT_EQ(consumer.wait(), k_exit_ok);
  EXPECT_EQ(consumer.errors(), "");
}

}  // namespace
}  // namespace millrace::tools::test
