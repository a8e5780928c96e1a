// The command line's promise under kill -9: every line that `millrace produce --acked` printed is in the
// topic after the restart, where it said, once.
#include <csignal>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "engine/reactor/sim_random.h"
#include "tests/crash/serving.h"

namespace millrace::test {
namespace {

constexpr int k_kills = 5;
constexpr int k_lines = 400'000;       // more than a server lives for
constexpr int k_exit_unknown = 4;      // some records may or may not have been written (docs/cli.md)
constexpr int k_exit_unavailable = 3;  // the server had gone when the next batch was to leave

using Acknowledged = std::map<std::string, std::string>;  // "partition offset" -> value

// Lines of which no two are the same, in any round.
std::string lines_of_round(int round, SimRandom& random) {
  std::string lines;
  for (int i = 0; i < k_lines; ++i) {
    lines += fmt::format("{}-{} {}\n", round, i, std::string(random.below(60), 'x'));
  }
  return lines;
}

// Splits "partition offset value" after the offset; the line may have its end.
void add_line(const std::string& line, Acknowledged& to) {
  const std::size_t at = line.find(' ', line.find(' ') + 1);
  ASSERT_NE(at, std::string::npos) << line;
  EXPECT_TRUE(to.emplace(line.substr(0, at), line.substr(at + 1)).second) << "acknowledged twice: " << line;
}

// Produces until the server has been killed, after so many lines were acknowledged.
void produce_until_killed(ServerProcess& server, const std::string& lines, std::uint64_t count,
                          Acknowledged& acknowledged) {
  Process producer({"produce", "log", "--partitions", "3", "--batch-bytes", "4KiB", "--acked", "%p %o %s\\n",
                    "--server", server.address()});
  std::jthread writer([&] {
    producer.write_input(lines);
    producer.close_input();
  });
  std::uint64_t acked = 0;
  for (std::string line = producer.read_line(); !line.empty(); line = producer.read_line()) {
    add_line(line, acknowledged);
    if (++acked == count) server.process().signal(SIGKILL);
  }
  const int status = producer.wait();
  EXPECT_GE(acked, count) << producer.errors();
  EXPECT_TRUE(status == k_exit_unknown || status == k_exit_unavailable) << status << "\n"
                                                                        << producer.errors();
}

void expect_stored(const ServerProcess& server, const Acknowledged& acknowledged) {
  const tools::test::Finished read =
      tools::test::run({"consume", "log", "--offset", "earliest", "--end", "--print", "%p %o %s\\n",
                        "--server", server.address()});
  ASSERT_EQ(read.status, 0) << read.errors;
  Acknowledged stored;
  std::set<std::string> values;
  for (std::size_t at = 0; at < read.output.size();) {
    const std::size_t end = read.output.find('\n', at) + 1;
    ASSERT_NE(end, 0u);
    add_line(read.output.substr(at, end - at), stored);
    at = end;
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
  const TestFolder folder;
  auto flags = [random = SimRandom(2)]() mutable {
    return server_flags(static_cast<std::uint32_t>(random.between(1, 3)));
  };
  SimRandom random(1);
  Acknowledged acknowledged;
  for (int round = 0; round < k_kills && !HasFailure(); ++round) {
    ServerProcess server(folder.path("data"), flags());
    ASSERT_FALSE(server.address().empty());
    if (round > 0) expect_stored(server, acknowledged);
    produce_until_killed(server, lines_of_round(round, random), random.between(1, 3000), acknowledged);
    ASSERT_FALSE(HasFailure());
    EXPECT_EQ(server.process().wait(), k_killed) << server.process().errors();
  }
  ServerProcess server(folder.path("data"), flags());
  ASSERT_FALSE(server.address().empty());
  expect_stored(server, acknowledged);
  errors_after_clean_stop(server);
}

}  // namespace
}  // namespace millrace::test
