// The command line's promise under kill -9: every line that `millrace produce --acked` printed is in the
// topic after the restart, where it said, once.
#include <charconv>
#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>

#include "engine/reactor/sim_random.h"
#include "tests/crash/serving.h"
#include "tests/reactor/uring_harness.h"

namespace millrace::test {
namespace {

constexpr int k_kills = 5;
constexpr int k_lines = 400'000;       // more than a server lives for
constexpr int k_exit_unknown = 4;      // some records may or may not have been written (docs/cli.md)
constexpr int k_exit_unavailable = 3;  // the server had gone when the next batch was to leave

using Acknowledged = std::map<std::string, std::string>;  // "partition offset" -> value

// A file of lines of which no two are the same, in any round.
std::string lines_of_round(const std::string& folder, int round, SimRandom& random) {
  std::string path = folder + "/lines";
  std::ofstream lines(path, std::ios::trunc);
  for (int i = 0; i < k_lines; ++i)
    lines << round << '-' << i << ' ' << std::string(random.below(60), 'x') << '\n';
  return path;
}

// Splits "partition offset value" after the offset.
void add_line(const std::string& line, Acknowledged& to) {
  const std::size_t at = line.find(' ', line.find(' ') + 1);
  ASSERT_NE(at, std::string::npos) << line;
  EXPECT_TRUE(to.emplace(line.substr(0, at), line.substr(at + 1)).second) << "acknowledged twice: " << line;
}

// Produces until the server has been killed, after so many lines were acknowledged.
void produce_until_killed(ServerProcess& server, const std::string& lines, std::uint64_t count,
                          Acknowledged& acknowledged) {
  Program producer(
      command_line({"produce", "log", "--partitions", "3", "--batch-bytes", "4KiB", "--acked", "%p %o %s\\n"},
                   server.address()),
      {.file = lines});
  std::uint64_t acked = 0;
  while (const auto line = producer.next_line()) {
    add_line(*line, acknowledged);
    if (++acked == count) server.kill();
  }
  EXPECT_GE(acked, count) << producer.errors();
  const int status = producer.wait();
  EXPECT_TRUE(status == k_exit_unknown || status == k_exit_unavailable) << status << "\n"
                                                                        << producer.errors();
}

void expect_stored(const ServerProcess& server, const Acknowledged& acknowledged) {
  const ProgramEnd read = run_program(command_line(
      {"consume", "log", "--offset", "earliest", "--end", "--print", "%p %o %s\\n"}, server.address()));
  ASSERT_EQ(read.status, 0) << read.errors;
  Acknowledged stored;
  std::set<std::string> values;
  for (std::size_t at = 0; at < read.output.size();) {
    const std::size_t end = read.output.find('\n', at);
    ASSERT_NE(end, std::string::npos);
    add_line(read.output.substr(at, end - at), stored);
    at = end + 1;
  }
  for (const auto& [place, value] : stored)
    EXPECT_TRUE(values.insert(value).second) << value << " is there twice";
  for (const auto& [place, value] : acknowledged) {
    const auto found = stored.find(place);
    ASSERT_NE(found, stored.end()) << place << " is gone: " << value;
    ASSERT_EQ(found->second, value) << place;
  }
}

TEST(KilledServerOfTheCommandLine, KeepsEveryLineThatProduceCalledAcknowledged) {
  const TemporaryFolder folder;
  SimRandom random(1);
  Acknowledged acknowledged;
  for (int round = 0; round < k_kills && !HasFailure(); ++round) {
    ServerProcess server({.folder = folder.path() + "/data",
                          .shards = static_cast<std::uint32_t>(random.between(1, 3)),
                          .more = {}});
    ASSERT_TRUE(server.ready()) << server.errors();
    if (round > 0) expect_stored(server, acknowledged);
    produce_until_killed(server, lines_of_round(folder.path(), round, random), random.between(1, 3000),
                         acknowledged);
    EXPECT_EQ(server.wait(), -SIGKILL) << server.errors();
  }
  ServerProcess server({.folder = folder.path() + "/data", .shards = 2, .more = {}});
  ASSERT_TRUE(server.ready()) << server.errors();
  expect_stored(server, acknowledged);
  server.expect_clean_stop();
}

}  // namespace
}  // namespace millrace::test
