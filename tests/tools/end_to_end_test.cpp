// The real binary over loopback: the server, topics, folders, and the example of the client library.
#include "tests/tools/end_to_end.h"

#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <signal.h>

namespace millrace::tools::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

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
