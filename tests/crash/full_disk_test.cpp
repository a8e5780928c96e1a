// The real server on a file system that is too small for what its clients send: appends are refused in plain
// words and as retryable, reads go on, and when a topic goes appends do, too, without a restart; a server
// that is killed while its disk is full starts again on the full disk, with everything acknowledged.
//
// Where a machine lets no test mount such a file system, its cases are skipped and say why. tests/log and
// tests/crash have the same in simulation, everywhere.
#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

#include "tests/crash/ledger.h"
#include "tests/crash/load.h"
#include "tests/crash/serving.h"
#include "tests/crash/small_disk.h"

namespace millrace::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using tools::test::Finished;
using tools::test::run;

constexpr std::uint64_t k_disk_bytes = 64u << 20;
constexpr std::uint64_t k_refusals = 20;

class FullDisk : public testing::TestWithParam<SmallDiskKind> {
 protected:
  void SetUp() override {
    if (const std::string why_not = why_not_mountable(GetParam()); !why_not.empty())
      GTEST_SKIP() << "no test can mount a small " << name(GetParam()) << " here: " << why_not;
    disk_.emplace(GetParam(), k_disk_bytes);
    ledger_.explains = [this](ErrorCode code) {
      if (code == ErrorCode::disk_full) ++refusals_;
      return is_gone(code) || (may_be_full_ && code == ErrorCode::disk_full);
    };
  }

  [[nodiscard]] std::string data() const { return disk_->path("data"); }

  // Clients work until the disk has refused them often.
  void fill(const ServerProcess& server) {
    may_be_full_ = true;
    for (int i = 0; i < 100 && refusals_ < k_refusals; ++i) work(server, 20, 10);
    EXPECT_GE(refusals_, k_refusals) << "the disk is not full";
    refusals_ = 0;
    may_be_full_ = false;
  }
  void work(const ServerProcess& server, std::uint32_t steps, std::uint64_t larger) {
    LoadMix mix;
    mix.small = 10;
    mix.medium = larger;
    mix.large = larger;
    mix.looks = 20;
    mix.burst_max = 10;
    mix.topics = 3;
    mix.segment_bytes = 4u << 20;
    mix.workers = 4;
    mix.steps = steps;
    mix.producer.buffered_bytes_max = 2u << 20;
    with_client(server, [&](Client& client) -> Task<void> {
      Load load(client, ledger_, random_, mix);
      co_await load.run();
    });
  }

  void check(const ServerProcess& server) {
    with_client(server, [&](Client& client) -> Task<void> {
      const auto checked = co_await ledger_.check(client, CheckDepth::everything);
      EXPECT_TRUE(checked) << checked.error().message;
    });
  }

  void expect_refusal(const ServerProcess& server) {
    const std::string topic = ledger_.topics().begin()->first;
    const Finished produced =
        run({"produce", topic, "--server", server.address()}, std::string(7'000'000, 'x') + "\n");
    EXPECT_EQ(produced.status, 1) << produced.errors;
    EXPECT_THAT(produced.errors, AllOf(HasSubstr("No space left"), HasSubstr("free some space")));
    EXPECT_TRUE(retryable(ErrorCode::disk_full));
  }

  // The largest of the topics.
  void free_space(const ServerProcess& server) {
    const auto bytes_of = [](const LedgerTopic& topic) {
      std::uint64_t bytes = 0;
      for (const LedgerPartition& partition : topic.partitions) {
        for (const auto& [offset, record] : partition.stored) bytes += record.size;
      }
      return bytes;
    };
    LedgerTopic* largest = nullptr;
    for (auto& [name, topic] : ledger_.topics()) {
      if (largest == nullptr || bytes_of(topic) > bytes_of(*largest)) largest = &topic;
    }
    ASSERT_NE(largest, nullptr);
    with_client(server, [&](Client& client) -> Task<void> {
      const auto removed = co_await ledger_.remove(client, *largest);
      EXPECT_TRUE(removed) << removed.error().message;
    });
    check(server);
  }

  std::optional<SmallDisk> disk_;
  SimRandom random_{1};
  Ledger ledger_;
  std::uint64_t refusals_ = 0;
  bool may_be_full_ = false;
};

TEST_P(FullDisk, RefusesAppendsReadsOnAndResumesWithoutARestart) {
  ServerProcess server(data());
  ASSERT_FALSE(server.address().empty());
  for (int round = 0; round < 2; ++round) {
    fill(server);
    expect_refusal(server);
    check(server);
    free_space(server);
    work(server, 3, 0);
    check(server);
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
  EXPECT_EQ(server.stop(), 0) << server.process().errors();
}

TEST_P(FullDisk, AServerThatIsKilledStartsAgainOnTheFullDiskWithEverythingAcknowledged) {
  for (int round = 0; round < 3; ++round) {
    {
      ServerProcess server(data());
      ASSERT_FALSE(server.address().empty());
      fill(server);
      server.process().signal(SIGKILL);
      EXPECT_EQ(server.process().wait(), k_killed) << server.process().errors();
    }
    ServerProcess server(data());
    ASSERT_FALSE(server.address().empty());
    check(server);
    free_space(server);
    work(server, 3, 0);
    EXPECT_EQ(server.stop(), 0) << server.process().errors();
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(On, FullDisk, testing::Values(SmallDiskKind::ext4, SmallDiskKind::tmpfs),
                         [](const auto& info) { return std::string(name(info.param)); });

}  // namespace
}  // namespace millrace::test
