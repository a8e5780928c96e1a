// A whole server on a disk that fills up, in simulation: appends are refused as retryable and harm nothing,
// reads go on, a topic can be deleted, and then appends go on, without a restart; killed while the disk is
// full, it starts again on it. full_disk_test.cpp has the same with the real program.
//
// One seed again: MILLRACE_SEED=17 ctest -R ServerFullDiskOfOneSeed
#include <cstdlib>
#include <gtest/gtest.h>

#include "tests/crash/ledger.h"
#include "tests/crash/load.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

constexpr std::uint64_t k_room = 4_MiB;
constexpr std::uint64_t k_refusals = 10;

class FullDiskLife {
 public:
  explicit FullDiskLife(std::uint64_t seed) : story_({.seed = seed}), random_(story_.world().random()) {
    story_.setup.log.retention_interval = std::chrono::milliseconds(20);
    story_.setup.storage.ballast_size = 256_KiB;
    story_.options.shards = static_cast<std::uint32_t>(random_.between(1, 3));
    ledger_.explains = [this](ErrorCode code) {
      if (code == ErrorCode::disk_full) ++refusals_;
      return is_gone(code) || (is_full_ && code == ErrorCode::disk_full);
    };
  }

  void run() {
    begin();
    work(1, 0);
    fill();
    check();
    make_room();
    work(3, 0);
    fill();
    story_.kill();
    begin();
    check();
    make_room();
    work(3, 0);
    check();
    story_.expect_clean_stop();
  }

 private:
  void begin() {
    story_.start();
    ASSERT_TRUE(story_.started()) << story_.why();
  }

  void work(std::uint32_t steps, std::uint64_t larger) {
    LoadMix mix;
    mix.small = 10;
    mix.medium = random_.below(larger + 1);
    mix.large = random_.below(larger + 1);
    mix.looks = 100;
    mix.topics = 2;
    mix.segment_bytes = 256_KiB;
    mix.steps = steps;
    mix.producer.buffered_bytes_max = 1_MiB;
    on_client([this, mix](Client& client) -> Task<void> {
      Load load(client, ledger_, random_, mix);
      co_await load.run();
    });
  }

  void fill() {
    SimDisk& disk = story_.server().disk();
    disk.set_capacity(disk.used() + k_room);
    is_full_ = true;
    refusals_ = 0;
    for (int i = 0; i < 100 && refusals_ < k_refusals; ++i) work(20, 10);
    EXPECT_GE(refusals_, k_refusals) << "the disk is not full";
    EXPECT_TRUE(story_.server().running()) << story_.why();
    is_full_ = false;
  }

  void check() {
    on_client([this](Client& client) -> Task<void> {
      const auto checked = co_await ledger_.check(client, CheckDepth::everything);
      EXPECT_TRUE(checked) << checked.error().message;
    });
  }

  // By deleting what clients can delete.
  void make_room() {
    on_client([this](Client& client) -> Task<void> {
      for (auto& [name, topic] : ledger_.topics()) {
        const auto removed = co_await ledger_.remove(client, topic);
        EXPECT_TRUE(removed) << removed.error().message;
      }
    });
    check();
  }

  void on_client(const std::function<Task<void>(Client&)>& script) {
    if (testing::Test::HasFailure()) return;
    story_.run_script([&](Reactor& reactor, Address server) -> Task<void> {
      Client client(reactor, {.server = server, .request_timeout = std::chrono::minutes(10)});
      co_await script(client);
    });
  }

  ServerStory story_;
  SimRandom& random_;
  Ledger ledger_;
  std::uint64_t refusals_ = 0;
  bool is_full_ = false;
};

class ServerFullDisk : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ServerFullDisk, RefusesAppendsAndGoesOnWhenThereIsRoom) {
  for (std::uint64_t seed = GetParam(); seed < GetParam() + 10; ++seed) {
    FullDiskLife(seed).run();
    ASSERT_FALSE(HasFailure()) << "seed " << seed << "; again with MILLRACE_SEED=" << seed;
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, ServerFullDisk, testing::Range<std::uint64_t>(1, 41, 10));

TEST(ServerFullDiskOfOneSeed, RefusesAppendsAndGoesOnWhenThereIsRoom) {
  const char* seed = std::getenv("MILLRACE_SEED");
  FullDiskLife(seed != nullptr ? std::stoull(seed) : 0).run();
}

}  // namespace
}  // namespace millrace::test
