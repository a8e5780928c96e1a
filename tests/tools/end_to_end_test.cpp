// The real binary, client and server, over loopback: what goes in comes out again.
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <signal.h>
#include <sstream>

#include "tests/tools/process.h"
#include "tools/exit_codes.h"

namespace millrace::tools::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class EndToEnd : public testing::Test {
 protected:
  Finished millrace(const Arguments& arguments, const std::string& input = "") {
    return run(arguments, input, {{"MILLRACE_SERVER", server_.address()}});
  }
  // Runs it and demands success.
  std::string output_of(const Arguments& arguments, const std::string& input = "") {
    const Finished finished = millrace(arguments, input);
    EXPECT_EQ(finished.status, k_exit_ok) << finished.errors;
    return finished.output;
  }
  std::string consume(const std::string& topic, const Arguments& more = {}) {
    Arguments all{"consume", topic, "-e"};
    all.insert(all.end(), more.begin(), more.end());
    return output_of(all);
  }

  TestFolder folder_;
  ServerProcess server_{folder_.path("data")};
};

TEST_F(EndToEnd, TheFirstLineNamesFolderAddressAndShards) {
  EXPECT_EQ(server_.first_line(), "millrace 0.1.0: data " + folder_.path("data") + ", listening on " +
                                      server_.address() + ", 1 shard\n");
}

TEST_F(EndToEnd, TheHintNamesTheServerUnlessItIsFoundWithoutIt) {
  EXPECT_THAT(server_.process().read_line(), HasSubstr("produce greetings -s " + server_.address() + "\n"));
  ServerProcess everywhere(folder_.path("everywhere"), {"--listen", "0.0.0.0:0"});
  const std::string port = everywhere.address().substr(everywhere.address().find(':'));
  EXPECT_THAT(everywhere.process().read_line(), HasSubstr("greetings -s 127.0.0.1" + port + "\n"));
}

// The usual port of another host is not where a client looks.
TEST_F(EndToEnd, TheHintNamesAnotherHost) {
  ServerProcess other(folder_.path("other"), {"--listen", "127.0.0.2:7420"});
  EXPECT_THAT(other.process().read_line(), HasSubstr("greetings -s 127.0.0.2:7420\n"));
}

TEST_F(EndToEnd, LinesComeBackByteForByte) {
  std::string text = "first\n\nafter an empty line\n";
  text += std::string("nul \0 inside\n", 13) + "\xff\xfe\x80 no utf-8\r\n";
  text += std::string(300'000, 'l') + "\n" + std::string(3 << 20, 'L') + "\n";
  for (int i = 0; i < 50'000; ++i) text += "line " + std::to_string(i) + "\n";
  output_of({"produce", "lines"}, text);
  EXPECT_TRUE(consume("lines") == text);
}

TEST_F(EndToEnd, TheLastLineNeedsNoEndAndNoLinesAreNoRecords) {
  output_of({"produce", "lines"}, "a\nb");
  EXPECT_EQ(consume("lines"), "a\nb\n");
  output_of({"produce", "nothing"}, "");
  EXPECT_EQ(consume("nothing"), "");
}

TEST_F(EndToEnd, KeysHeadersAndFormatsComeBack) {
  output_of({"produce", "t", "-K", "::", "-H", "a=1", "-H", "b=x=y"}, "k::v\n::empty key\nno delimiter\n");
  EXPECT_EQ(consume("t", {"-f", "%t/%p/%o [%k|%K] [%s|%S] %h\\n"}),
            "t/0/0 [k|1] [v|1] a=1,b=x=y\n"
            "t/0/1 [|0] [empty key|9] a=1,b=x=y\n"
            "t/0/2 [|-1] [no delimiter|12] a=1,b=x=y\n");
  output_of({"produce", "t", "-k", "all"}, "x\n");
  EXPECT_EQ(consume("t", {"-o", "3", "-f", "%k=%s;"}), "all=x;");
}

TEST_F(EndToEnd, CompressedBatchesComeBack) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "much the same line " + std::to_string(i) + "\n";
  for (const char* codec : {"none", "lz4", "zstd"}) {
    const std::string topic = std::string("by-") + codec;
    const std::string acked = output_of({"produce", topic, "-z", codec, "--acked", "%s\\n"}, text);
    EXPECT_TRUE(acked == text) << codec;
    EXPECT_TRUE(consume(topic) == text) << codec;
  }
}

TEST_F(EndToEnd, ARawFileIsOneRecord) {
  const std::string content("several\nlines\0and\n", 18);
  std::ofstream(folder_.path("file"), std::ios::binary) << content;
  output_of({"produce", "raw", "--raw", folder_.path("file"), "-k", "name"});
  EXPECT_EQ(consume("raw", {"-f", "%o %k %S %s"}), "0 name 18 " + content);
}

TEST_F(EndToEnd, AcknowledgedRecordsArePrintedWhenTheyAre) {
  Process producer({"produce", "t", "--acked", "%o %s\\n"}, {{"MILLRACE_SERVER", server_.address()}});
  producer.write_input("one\n");
  EXPECT_EQ(producer.read_line(), "0 one\n");
  producer.write_input("two\nthree\n");
  EXPECT_EQ(producer.read_line(), "1 two\n");
  EXPECT_EQ(producer.read_line(), "2 three\n");
  producer.close_input();
  EXPECT_EQ(producer.wait(), k_exit_ok);
}

TEST_F(EndToEnd, EveryLevelOfAcknowledgementWritesTheRecords) {
  for (const char* level : {"none", "leader", "durable"})
    output_of({"produce", "t", "--acks", level}, std::string(level) + "\n");
  // Without acknowledgement a record may still be on its way.
  Process consumer({"consume", "t", "-n", "3"}, {{"MILLRACE_SERVER", server_.address()}});
  std::set<std::string> lines;
  for (int i = 0; i < 3; ++i) lines.insert(consumer.read_line());
  EXPECT_THAT(lines, testing::ElementsAre("durable\n", "leader\n", "none\n"));
  EXPECT_EQ(consumer.wait(), k_exit_ok);
}

TEST_F(EndToEnd, TheSummaryStandsOnStandardError) {
  const Finished finished = millrace({"produce", "t"}, "a\nb\n");
  EXPECT_EQ(finished.output, "");
  EXPECT_THAT(finished.errors, StartsWith("2 records, 2 B in "));
  EXPECT_THAT(finished.errors, HasSubstr("in batches of 2 records: p50"));
  const Finished one = millrace({"produce", "t"}, "a\n");
  EXPECT_THAT(one.errors, StartsWith("1 record, 1 B in "));
  EXPECT_THAT(one.errors, HasSubstr("in batches of 1 record: p50"));
}

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

TEST_F(EndToEnd, AProducerThatIsInterruptedSaysWhatItWrote) {
  Process producer({"produce", "t", "--acked", "%o\\n"}, {{"MILLRACE_SERVER", server_.address()}});
  producer.write_input("one\ntwo, not fini");
  EXPECT_EQ(producer.read_line(), "0\n");
  producer.signal(SIGINT);
  EXPECT_EQ(producer.wait(), k_exit_signal + SIGINT);
  EXPECT_THAT(producer.errors(), StartsWith("1 record, 3 B in "));
  EXPECT_EQ(consume("t"), "one\n");
}

TEST_F(EndToEnd, AProducerWhoseBatchFailedDoesNotWaitForAnotherLine) {
  Process producer({"produce", "t", "--acked", "%s\\n"}, {{"MILLRACE_SERVER", server_.address()}});
  producer.write_input("one\n");
  EXPECT_EQ(producer.read_line(), "one\n");
  output_of({"topic", "delete", "t"});
  producer.write_input("two\nthree\n");
  EXPECT_EQ(producer.wait(), k_exit_failure);
  const std::string errors = producer.errors();
  EXPECT_THAT(errors, HasSubstr("\n2 records not written\n"));
  EXPECT_THAT(errors, HasSubstr("\nmillrace produce: "));
}

// 64 of the large lines fill the producer's 32 MiB. The next one waits for room: all of it but 4 KiB has been
// read when those behind it are in the pipe, which takes 64 KiB.
TEST_F(EndToEnd, LinesThatWereReadAndNotSentAreCounted) {
  Process producer({"produce", "t", "--no-idempotence", "--acked", "%S\\n"},
                   {{"MILLRACE_SERVER", server_.address()}});
  producer.write_input("one\n");
  EXPECT_EQ(producer.read_line(), "3\n");
  server_.process().signal(SIGSTOP);
  for (int i = 0; i < 65; ++i) producer.write_input(std::string(512 << 10, 'x') + "\n");
  for (int i = 0; i < 60; ++i) producer.write_input(std::string(1023, 'x') + "\n");
  server_.process().signal(SIGKILL);
  EXPECT_EQ(producer.wait(), k_exit_unknown);
  const std::string errors = producer.errors();
  const auto count_of = [&](const std::string& what) {
    std::smatch match;
    const bool found = std::regex_search(errors, match, std::regex("\n([0-9]+) records? " + what));
    return found ? std::stoi(match.str(1)) : 0;
  };
  EXPECT_GE(count_of("not written") + count_of("may or may not have been written"), 65) << errors;
}

TEST_F(EndToEnd, ASecondSignalLeavesRecordsOnTheirWayUnknown) {
  Process producer({"produce", "t", "--acked", "%S\\n"}, {{"MILLRACE_SERVER", server_.address()}});
  producer.write_input("one\n");
  EXPECT_EQ(producer.read_line(), "3\n");
  server_.process().signal(SIGSTOP);
  // More than the pipe takes three times over: the first of them have become records when the last one is in.
  for (int i = 0; i < 200; ++i) producer.write_input(std::string(1023, 'x') + "\n");
  producer.signal(SIGINT);
  producer.signal(SIGTERM);
  EXPECT_EQ(producer.wait(), k_exit_signal + SIGTERM);
  EXPECT_THAT(producer.errors(),
              testing::ContainsRegex("\n[0-9]+ records may or may not have been written\n"));
}

// Nobody reads what the first lines print, and the pipe does not hold it.
TEST_F(EndToEnd, AProducerSendsWhileItsOutputStandsStill) {
  Process producer({"produce", "t", "--acked", "%s\\n"}, {{"MILLRACE_SERVER", server_.address()}});
  for (int i = 0; i < 200; ++i) producer.write_input(std::string(1023, 'x') + "\n");
  EXPECT_EQ(producer.read_line().size(), 1024u);
  producer.write_input("last\n");
  Process consumer({"consume", "t", "-n", "201", "-f", "%S\\n"}, {{"MILLRACE_SERVER", server_.address()}});
  EXPECT_EQ(consumer.wait(), k_exit_ok);
  producer.close_input();
  EXPECT_THAT(producer.rest_of_output(), testing::EndsWith("x\nlast\n"));
  EXPECT_EQ(producer.wait(), k_exit_ok);
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

TEST_F(EndToEnd, AKeyAlwaysLandsInTheSamePartition) {
  output_of({"topic", "create", "t", "-p", "4"});
  std::string text;
  for (int i = 0; i < 400; ++i) text += "key" + std::to_string(i % 20) + ":" + std::to_string(i) + "\n";
  output_of({"produce", "t", "-K", ":"}, text);
  std::map<std::string, std::set<std::string>> partitions_of_key;
  std::set<std::string> partitions;
  const auto records = lines_of(consume("t", {"-f", "%k %p %s\\n"}));
  EXPECT_EQ(records.size(), 400u);
  for (const std::string& record : records) {
    std::istringstream fields(record);
    std::string key, partition;
    fields >> key >> partition;
    partitions_of_key[key].insert(partition);
    partitions.insert(partition);
  }
  for (const auto& [key, used] : partitions_of_key) EXPECT_EQ(used.size(), 1u) << key;
  EXPECT_GT(partitions.size(), 1u);
  std::size_t by_partition = 0;
  for (const char* partition : {"0", "1", "2", "3"})
    by_partition += lines_of(consume("t", {"-p", partition})).size();
  EXPECT_EQ(by_partition, 400u);
  output_of({"produce", "t", "-p", "3"}, "to three\n");
  EXPECT_THAT(consume("t", {"-p", "3"}), HasSubstr("to three\n"));
}

TEST_F(EndToEnd, TopicsAreCreatedListedDescribedAndDeleted) {
  output_of({"topic", "create", "events", "-p", "3", "--segment-bytes", "1MiB", "--retention-age", "7d"});
  output_of({"topic", "create", "another"});
  const json list = json::parse(output_of({"topic", "list", "--format", "json"}));
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[1]["topic"], "events");
  EXPECT_EQ(list[1]["partitions"], 3);
  EXPECT_EQ(list[1]["segment_bytes"], 1 << 20);
  EXPECT_EQ(list[1]["retention_age_ms"], 7 * 24 * 3600 * 1000);
  EXPECT_THAT(output_of({"topic", "list"}), testing::ContainsRegex("events .* 3  +1 MiB  +-  +-  +7d\n"));
  EXPECT_TRUE(list[1]["retention_bytes"].is_null());
  output_of({"produce", "events", "-p", "2"}, "a\nb\n");
  const json described = json::parse(output_of({"topic", "describe", "events", "--format", "json"}));
  EXPECT_EQ(described["partitions"], 3);
  EXPECT_EQ(described["partition_states"][2]["durable_end"], 2);
  EXPECT_EQ(described["partition_states"][0]["durable_end"], 0);
  EXPECT_THAT(output_of({"topic", "describe", "events"}), HasSubstr("durable_end"));
  EXPECT_EQ(output_of({"topic", "delete", "events"}), "deleted topic events\n");
  EXPECT_EQ(millrace({"topic", "describe", "events"}).status, k_exit_failure);
  EXPECT_EQ(json::parse(output_of({"topic", "list", "--format", "json"})).size(), 1u);
}

TEST_F(EndToEnd, ATopicHasTheSameFieldsWhereverItIsShown) {
  const json created = json::parse(output_of({"topic", "create", "t", "-p", "2", "--format", "json"}));
  EXPECT_EQ(created["segment_bytes"], 256 << 20);
  EXPECT_EQ(json::parse(output_of({"topic", "list", "--format", "json"}))[0], created);
  json described = json::parse(output_of({"topic", "describe", "t", "--format", "json"}));
  described.erase("partition_states");
  EXPECT_EQ(described, created);
}

TEST_F(EndToEnd, SettingsChangeAndTheOthersStay) {
  output_of({"topic", "create", "t", "--segment-bytes", "1MiB", "--retention-age", "7d"});
  const json altered = json::parse(output_of(
      {"topic", "alter", "t", "--retention-bytes", "5MiB", "--retention-age", "0", "--format", "json"}));
  EXPECT_EQ(altered["segment_bytes"], 1 << 20);
  EXPECT_EQ(altered["retention_bytes"], 5 << 20);
  EXPECT_TRUE(altered["retention_age_ms"].is_null());
  EXPECT_EQ(json::parse(output_of({"topic", "list", "--format", "json"}))[0], altered);
  EXPECT_THAT(output_of({"topic", "alter", "t", "--segment-age", "90s"}),
              HasSubstr("segment_age      1m 30s\n"));
  const Finished nothing = millrace({"topic", "alter", "t"});
  EXPECT_EQ(nothing.status, k_exit_usage);
  EXPECT_THAT(nothing.errors, HasSubstr("name a setting to change"));
  EXPECT_THAT(millrace({"topic", "alter", "t", "--segment-bytes", "1"}).errors, HasSubstr("are possible"));
  EXPECT_THAT(millrace({"topic", "alter", "u", "--segment-age", "1s"}).errors, HasSubstr("no topic 'u'"));
}

TEST_F(EndToEnd, ATrimmedTopicBeginsLater) {
  output_of({"topic", "create", "t", "-p", "2"});
  for (const char* line : {"a\n", "b\n", "c\n"}) output_of({"produce", "t", "-p", "1"}, line);
  EXPECT_EQ(output_of({"topic", "trim", "t", "--before", "1", "-p", "1"}),
            "partition  log_start\n        1          1\n");
  EXPECT_EQ(consume("t"), "b\nc\n");
  EXPECT_EQ(
      json::parse(output_of({"topic", "trim", "t", "--before", "@2026-01-01T00:00:00Z", "--format", "json"})),
      json::parse(R"([{"partition": 0, "log_start": 0}, {"partition": 1, "log_start": 1}])"));
  output_of({"topic", "trim", "t", "--before", "latest"});
  EXPECT_EQ(consume("t"), "");
  const auto refusal = [&](const char* before, const char* partition) {
    const Finished refused = millrace({"topic", "trim", "t", "--before", before, "-p", partition});
    EXPECT_EQ(refused.status, k_exit_failure);
    return refused.errors;
  };
  EXPECT_THAT(refusal("4", "1"), HasSubstr("the log ends at 3"));
  EXPECT_THAT(refusal("0", "2"), HasSubstr("no partition 2"));
  EXPECT_THAT(millrace({"topic", "trim", "t", "--before", "1"}).errors, HasSubstr("name one with -p"));
}

TEST_F(EndToEnd, AClusterHasOneNameEverywhere) {
  const json status = json::parse(output_of({"status", "--format", "json"}));
  const std::string cluster = status["cluster"];
  EXPECT_EQ(server_.stop(), 0);
  EXPECT_THAT(output_of({"log", "dump", folder_.path("data"), "--segments-only"}),
              HasSubstr("cluster=" + cluster));
  std::string digits = cluster;
  std::erase(digits, '-');
  EXPECT_EQ(digits.size(), 32u);
  for (const std::string& name : {cluster, digits}) {
    ServerProcess again(folder_.path("data"), {"--cluster", name});
    EXPECT_EQ(again.stop(), 0);
  }
}

TEST_F(EndToEnd, AMissingTopicIsMadeUnlessThatIsUnwanted) {
  const Finished refused = millrace({"produce", "missing", "--no-create"}, "a\n");
  EXPECT_EQ(refused.status, k_exit_failure);
  EXPECT_THAT(refused.errors, HasSubstr("missing"));
  output_of({"produce", "missing", "--partitions", "2"}, "a\n");
  EXPECT_EQ(json::parse(output_of({"topic", "describe", "missing", "--format", "json"}))["partitions"], 2);
}

TEST_F(EndToEnd, ATopicThatWouldNotHaveThePartitionIsNotMade) {
  const Finished refused = millrace({"produce", "t", "-p", "3"}, "a\n");
  EXPECT_EQ(refused.status, k_exit_failure);
  EXPECT_EQ(refused.errors,
            "millrace produce: topic t does not exist, and with --partitions 1 it would have no partition 3; "
            "give --partitions 4 or more\n");
  EXPECT_EQ(output_of({"topic", "list", "--format", "json"}), "[]\n");
  output_of({"produce", "t", "-p", "3", "--partitions", "4"}, "a\n");
  EXPECT_EQ(consume("t", {"-f", "%p %s\n"}), "3 a\n");
}

TEST_F(EndToEnd, ATopicWithAnotherNumberOfPartitionsIsNotWrittenTo) {
  output_of({"produce", "t"}, "one\n");
  const Finished refused = millrace({"produce", "t", "--partitions", "4"}, "two\n");
  EXPECT_EQ(refused.status, k_exit_failure);
  EXPECT_EQ(refused.errors,
            "millrace produce: topic t has 1 partition, not 4, and that does not change; leave out "
            "--partitions, or name another topic\n");
  output_of({"produce", "t", "--partitions", "1"}, "three\n");
  EXPECT_EQ(consume("t"), "one\nthree\n");
}

TEST_F(EndToEnd, StatusCountsAndTimes) {
  output_of({"produce", "t"}, "a\n");
  const json status = json::parse(output_of({"status", "--format", "json"}));
  EXPECT_EQ(status["server"], "millrace 0.1.0");
  EXPECT_EQ(status["data"], folder_.path("data"));
  std::map<std::string, int> counters;
  for (const json& counter : status["counters"]) counters[counter["counter"]] = counter["value"];
  EXPECT_EQ(counters["produce_records"], 1);
  EXPECT_EQ(counters["requests_failed"], 0) << "produce has made the topic";
  EXPECT_FALSE(status["latencies"].empty());
  EXPECT_THAT(output_of({"status"}), HasSubstr("p99_us"));
}

TEST_F(EndToEnd, RecordsSurviveARestartAndAnotherNumberOfShards) {
  output_of({"topic", "create", "t", "-p", "8"});
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "k" + std::to_string(i) + ":" + std::to_string(i) + "\n";
  output_of({"produce", "t", "-K", ":"}, text);
  EXPECT_EQ(server_.stop(), 0);
  std::set<std::string> before, after;
  for (const char* shards : {"4", "1"}) {
    ServerProcess again(folder_.path("data"), {"--shards", shards});
    const Finished read = run({"consume", "t", "-e", "-f", "%p/%o %k %s\\n", "-s", again.address()});
    const auto lines = lines_of(read.output);
    EXPECT_EQ(lines.size(), 1000u) << shards;
    (before.empty() ? before : after) = {lines.begin(), lines.end()};
    EXPECT_EQ(again.stop(), 0);
  }
  EXPECT_EQ(before, after);
}

TEST_F(EndToEnd, AStoppedFolderIsVerifiedAndDumped) {
  output_of({"produce", "t"}, "a\nb\n");
  EXPECT_THAT(millrace({"log", "verify", folder_.path("data")}).errors, HasSubstr(folder_.path("data")))
      << "in use";
  EXPECT_EQ(server_.stop(), 0);
  const std::string verified = output_of({"log", "verify", folder_.path("data")});
  EXPECT_THAT(verified, HasSubstr("everything that is stored is whole"));
  std::set<std::string> kinds;
  for (const std::string& line :
       lines_of(output_of({"log", "dump", folder_.path("data"), "--format", "json"}))) {
    kinds.insert(json::parse(line)["kind"]);
  }
  EXPECT_THAT(kinds, testing::IsSupersetOf({"identity", "commit", "segment", "entry"}));
  EXPECT_THAT(output_of({"log", "dump", folder_.path("data"), "--segments-only"}), HasSubstr(".segment"));
}

// Behind what the reader takes stands a segment that cannot be read: whoever gets there fails.
TEST_F(EndToEnd, ADumpWhoseReaderHasGoneReadsNoFurther) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += std::string(5000, 'x') + "\n";  // a batch each
  output_of(
      {"produce", "t", "--acks", "leader", "--batch-bytes", "4KiB", "--no-idempotence", "--in-flight", "500"},
      text);
  output_of({"topic", "create", "u"});
  const json described = json::parse(output_of({"topic", "describe", "u", "--format", "json"}));
  EXPECT_EQ(server_.stop(), 0);
  const std::string group =
      fmt::format("{:016x}", described["partition_states"][0]["group"].get<std::uint64_t>());
  const std::string segment = folder_.path("data/groups/" + group + "/00000000000000000001.segment");
  std::filesystem::remove(segment);
  std::filesystem::create_directory(segment);
  const Arguments arguments{"log", "dump", folder_.path("data"), "--segments-only"};
  EXPECT_EQ(millrace(arguments).status, k_exit_failure) << "it is read to its end";
  Process dump(arguments);
  EXPECT_THAT(dump.read_line(), StartsWith("identity "));
  dump.close_output();
  EXPECT_EQ(dump.wait(), k_exit_ok);
  EXPECT_EQ(dump.errors(), "");
}

TEST_F(EndToEnd, DamageIsNamedWithFileAndPosition) {
  output_of({"produce", "t"}, "a\nb\n");
  EXPECT_EQ(server_.stop(), 0);
  std::string segment;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path("data/groups"))) {
    if (entry.path().extension() == ".segment" && entry.path().string() > segment) segment = entry.path();
  }
  std::fstream file(segment, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 + 70);
  file.put('!');
  file.close();
  const Finished verified = millrace({"log", "verify", folder_.path("data"), "--format", "json"});
  EXPECT_EQ(verified.status, k_exit_unhealthy);
  const json report = json::parse(verified.output);
  EXPECT_EQ(report["whole"], false);
  EXPECT_THAT(report["findings"][0]["file"], HasSubstr(".segment"));
  EXPECT_GE(report["findings"][0]["position"], 4096);
}

TEST_F(EndToEnd, TheExampleOfTheClientLibraryReadsWhatItWrote) {
  const Finished finished = run({server_.address()}, "", {}, EXAMPLE_BINARY);
  EXPECT_EQ(finished.status, 0) << finished.errors;
  EXPECT_THAT(finished.output, HasSubstr("records are durable, from offset 0 on\n"));
  EXPECT_THAT(finished.output, HasSubstr("\n0: key-0 = hello number 0\n"));
  EXPECT_THAT(finished.output, testing::EndsWith("\n999: key-9 = hello number 999\n"));
}

TEST_F(EndToEnd, TheExampleOfTheClientLibraryRunsAgainAndBesideTheTopicOfTheHint) {
  output_of({"topic", "create", "greetings", "-p", "2"});
  output_of({"produce", "greetings"}, "hello\n");
  for (const char* first : {"0", "1000"}) {
    const Finished finished = run({server_.address()}, "", {}, EXAMPLE_BINARY);
    EXPECT_EQ(finished.status, 0) << finished.errors;
    EXPECT_THAT(finished.output, HasSubstr(std::string("durable, from offset ") + first + " on\n"));
    EXPECT_THAT(finished.output, testing::EndsWith("\n999: key-9 = hello number 999\n"));
  }
}

TEST_F(EndToEnd, ASecondServerOnTheFolderIsRefused) {
  const Finished second = run(serve_arguments(folder_.path("data")));
  EXPECT_EQ(second.status, k_exit_failure);
  EXPECT_EQ(second.output, "");
  EXPECT_THAT(second.errors, HasSubstr(folder_.path("data")));
  output_of({"produce", "t"}, "the first goes on\n");
}

TEST_F(EndToEnd, SigtermUnderLoadEndsWellAndWhatWasAcknowledgedIsThere) {
  Process producer({"produce", "t", "--acked", "%o %s\\n"}, {{"MILLRACE_SERVER", server_.address()}});
  std::string acked;
  for (int i = 0; i < 20; ++i) {
    std::string text;
    for (int j = 0; j < 500; ++j) text += "line " + std::to_string(i * 500 + j) + "\n";
    producer.write_input(text);
    acked += producer.read_line();
  }
  server_.process().signal(SIGTERM);
  EXPECT_EQ(server_.process().wait(), 0);
  producer.write_input("after\n");
  producer.close_input();
  acked += producer.rest_of_output();
  const int status = producer.wait();
  // What was on its way when the server stopped may have been taken; what came later was not.
  EXPECT_THAT(status, testing::AnyOf(k_exit_unavailable, k_exit_unknown));
  ServerProcess again(folder_.path("data"));
  const std::string read = run({"consume", "t", "-e", "-f", "%o %s\\n", "-s", again.address()}).output;
  EXPECT_TRUE(read.starts_with(acked))
      << "acknowledged: " << lines_of(acked).size() << ", read: " << lines_of(read).size();
  EXPECT_THAT(read, testing::Not(HasSubstr(" after\n")));
  EXPECT_EQ(again.stop(), 0);
}

}  // namespace
}  // namespace millrace::tools::test
