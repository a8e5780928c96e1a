// millrace produce, the real binary over loopback: what goes in comes out again.
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <signal.h>
#include <sstream>

#include "engine/base/limits.h"
#include "tests/tools/end_to_end.h"
#include "tests/tools/relay.h"

namespace millrace::tools::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

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
  EXPECT_THAT(errors, HasSubstr("1 record, 3 B in ")) << "what was written, and no more";
}

// Of several batches the first to fail may be one that was never sent, and its error said that there was no
// server.
TEST_F(EndToEnd, RecordsThatMayHaveBeenWrittenDecideTheExitStatus) {
  Process producer({"produce", "t", "--batch-bytes", "8MiB", "--acked", "%S\\n"},
                   {{"MILLRACE_SERVER", server_.address()}});
  producer.write_input("one\n");
  EXPECT_EQ(producer.read_line(), "3\n");
  server_.process().signal(SIGSTOP);
  for (int i = 0; i < 4; ++i) producer.write_input(std::string(6 << 20, 'x') + "\n");
  server_.process().signal(SIGKILL);
  EXPECT_EQ(producer.wait(), k_exit_unknown);
  EXPECT_THAT(producer.errors(), testing::ContainsRegex("records? may or may not have been written\n"));
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

// What ended the input is certain, and the flush behind it was interrupted while records were on their way.
// They are more than the pipe takes, so the topic is open when all are in it; they linger until the flush.
TEST_F(EndToEnd, RecordsThatHaveMetNoFateDecideTheExitStatus) {
  Relay relay(server_.address());
  Process producer({"produce", "t", "--linger", "10m"}, {{"MILLRACE_SERVER", relay.address()}});
  for (int i = 0; i < 100; ++i) producer.write_input(std::string(1023, 'x') + "\n");
  relay.stall();
  producer.write_input(std::string(k_batch_size_max, 'x'));  // a line is shorter
  relay.wait_for_request();
  producer.signal(SIGINT);
  EXPECT_EQ(producer.wait(), k_exit_unknown);
  const std::string errors = producer.errors();
  EXPECT_THAT(errors, HasSubstr("100 records may or may not have been written\n"));
  EXPECT_THAT(errors, HasSubstr("\nmillrace produce: line 101 is longer than "));
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

// It was made first, and the file looked for then.
TEST_F(EndToEnd, AFileThatIsMissingMakesNoTopic) {
  const Finished refused = millrace({"produce", "t", "--raw", "missing"});
  EXPECT_EQ(refused.status, k_exit_failure);
  EXPECT_EQ(output_of({"topic", "list", "--format", "json"}), "[]\n");
}

TEST_F(EndToEnd, ATopicWithAnotherNumberOfPartitionsIsNotWrittenTo) {
  output_of({"produce", "t"}, "one\n");
  const Finished refused = millrace({"produce", "t", "--partitions", "4"}, "two\n");
  EXPECT_EQ(refused.status, k_exit_failure);
  EXPECT_EQ(
      refused.errors,
      "millrace produce: topic t has 1 partition, not 4, and that does not change; leave out "
      "--partitions (or MILLRACE_PARTITIONS, or partitions in the config file), or name another topic\n");
  output_of({"produce", "t", "--partitions", "1"}, "three\n");
  EXPECT_EQ(consume("t"), "one\nthree\n");
}

}  // namespace
}  // namespace millrace::tools::test
