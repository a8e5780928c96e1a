// What kills and power cuts leave of what a program wrote, and the proof that leaving out a sync is found.
#include <gmock/gmock.h>
#include <set>

#include "tests/reactor/sim_story.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class SimCrashTest : public testing::Test {
 protected:
  // What is left of a file that was stored like this, over the seeds, after the machine lost its power.
  std::set<std::string> left_after_power_cut(Durability durability, const SimMatch& ignore_syncs = nullptr) {
    std::set<std::string> contents;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
      SimWorld world(seed);
      SimNode& node = world.add_node("node");
      node.disk().faults().ignore_syncs = ignore_syncs;
      const SimEnd end = world.run(node, [&](Reactor& reactor) -> Task<void> {
        must(co_await store(reactor, "file", "content", durability));
      });
      EXPECT_EQ(end, SimEnd::reached);
      EXPECT_EQ(node.disk().read_file("file"), "content");
      node.power_cut();
      contents.insert(node.disk().read_file("file").value_or("(gone)"));
    }
    return contents;
  }
};

TEST_F(SimCrashTest, WhatWasSyncedSurvivesEverySeed) {
  EXPECT_THAT(left_after_power_cut(k_all_of_it), ElementsAre("content"));
  EXPECT_THAT(left_after_power_cut({.sync_file = true, .sync_folder = true}), ElementsAre("content"));
}

TEST_F(SimCrashTest, WhatWasNotSyncedIsLostForSomeSeedAndKeptForAnother) {
  const std::string zeros(7, '\0');
  EXPECT_THAT(left_after_power_cut({}), ElementsAre("", zeros, "(gone)", "content"));
  EXPECT_THAT(left_after_power_cut({.write = Sync::data}), ElementsAre("(gone)", "content"));
  EXPECT_THAT(left_after_power_cut({.sync_folder = true}), ElementsAre("", zeros, "content"));
}

TEST_F(SimCrashTest, LeavingOutAnyOneSyncIsFound) {
  const Durability needed{.write = Sync::data, .sync_folder = true};
  EXPECT_THAT(left_after_power_cut(needed), ElementsAre("content"));
  EXPECT_GT(left_after_power_cut(needed, on(Verb::write, "file")).size(), 1U);
  EXPECT_GT(left_after_power_cut(needed, on(Verb::sync_folder)).size(), 1U);
  // The same by a named seed: one to replay.
  SimWorld world(1);
  SimNode& node = world.add_node("node");
  node.disk().faults().ignore_syncs = on(Verb::sync_folder);
  ASSERT_EQ(
      world.run(node, [&](Reactor& r) -> Task<void> { must(co_await store(r, "file", "content", needed)); }),
      SimEnd::reached);
  node.power_cut(SimCut::drop_all);
  EXPECT_FALSE(node.disk().read_file("file"));
}

TEST_F(SimCrashTest, AKilledProcessLosesNothingThatItWrote) {
  SimWorld world(3);
  SimNode& node = world.add_node("node");
  node.start(1, [&](Reactor& reactor) -> Task<void> {
    must(co_await store(reactor, "file", "content", {}));
    must(co_await reactor.sleep(1h));
  });
  world.run_for(1s);
  node.kill();
  EXPECT_FALSE(node.running());
  EXPECT_EQ(node.disk().read_file("file"), "content");
  EXPECT_EQ(node.disk().pending(), 2U);  // a name and a write
  node.power_cut(SimCut::drop_all);
  EXPECT_FALSE(node.disk().read_file("file"));
}

TEST_F(SimCrashTest, AWriteInFlightLandsAfterItsProcessWasKilledAndTheLockLastsUntilThen) {
  SimWorld world(4);
  SimNode& node = world.add_node("node");
  node.disk().write_file("file", "old");
  node.start(1, [&](Reactor& reactor) -> Task<void> {
    const File lock = must(co_await reactor.lock("lock"));
    const File file = must(co_await reactor.open("file", {.mode = OpenMode::read_write}));
    node.disk().faults().latency_min = node.disk().faults().latency_max = 10ms;
    must(co_await reactor.write(file, slice_of(reactor, "new"), 0, Sync::data));
  });
  ASSERT_EQ(world.run_until([&] { return node.disk().faults().latency_min == 10ms; }), SimEnd::reached);
  node.kill();
  EXPECT_EQ(node.disk().read_file("file"), "old");
  EXPECT_EQ(node.device().in_flight(), 1U);
  node.disk().faults().latency_min = node.disk().faults().latency_max = 10us;
  const auto try_lock = [&] {
    ErrorCode code{};
    EXPECT_EQ(world.run(node,
                        [&](Reactor& reactor) -> Task<void> {
                          const auto lock = co_await reactor.lock("lock");
                          if (!lock) code = lock.error().code;
                        }),
              SimEnd::reached);
    return code;
  };
  EXPECT_EQ(try_lock(), ErrorCode::folder_in_use);
  world.run_for(20ms);
  EXPECT_EQ(node.disk().read_file("file"), "new");
  EXPECT_EQ(try_lock(), ErrorCode{});
}

TEST_F(SimCrashTest, AProcessEndsWhenWhatItHasInFlightHasEnded) {
  SimWorld world(4);
  SimNode& node = world.add_node("node");
  node.disk().write_file("file", "old");
  node.start(1, [&](Reactor& reactor) -> Task<void> {
    const File lock = must(co_await reactor.lock("lock"));
    const File file = must(co_await reactor.open("file", {.mode = OpenMode::read_write}));
    node.disk().faults().latency_min = node.disk().faults().latency_max = 10ms;
    (void)reactor.write(file, slice_of(reactor, "new"), 0, Sync::data);  // dropped
  });
  ASSERT_EQ(world.run_until([&] { return !node.running(); }), SimEnd::reached);
  EXPECT_EQ(node.disk().read_file("file"), "new");
  EXPECT_EQ(node.device().in_flight(), 0U);
}

TEST_F(SimCrashTest, AWriteInFlightAtAPowerCutIsLostKeptOrTorn) {
  std::set<std::string> contents;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SimWorld world(seed);
    SimNode& node = world.add_node("node");
    node.disk().write_file("file", std::string(1024, 'o'));
    node.start(1, [](Reactor& reactor) -> Task<void> {
      const File file = must(co_await reactor.open("file", {.mode = OpenMode::read_write}));
      must(co_await reactor.write(file, slice_of(reactor, std::string(1024, 'n')), 0, Sync::data));
      CHECK(false, "the power is cut before");
    });
    ASSERT_EQ(world.run_until([&] { return node.shard(0).counters().operations == 2; }), SimEnd::reached);
    node.power_cut();
    std::string seen;
    for (const std::size_t sector : {0U, 512U}) seen += node.disk().read_file("file")->at(sector);
    contents.insert(seen);
  }
  EXPECT_THAT(contents, ElementsAre("nn", "no", "on", "oo"));
}

TEST(SimNode, RestartsOnItsDisk) {
  SimWorld world(5);
  SimNode& node = world.add_node("node");
  ASSERT_EQ(
      world.run(node,
                [&](Reactor& r) -> Task<void> { must(co_await store(r, "file", "content", k_all_of_it)); }),
      SimEnd::reached);
  node.power_cut();
  std::uint64_t size = 0;
  ASSERT_EQ(world.run(node,
                      [&](Reactor& reactor) -> Task<void> {
                        const File file = must(co_await reactor.open("file", {}));
                        size = must(co_await reactor.size(file));
                      }),
            SimEnd::reached);
  EXPECT_EQ(size, 7U);
  EXPECT_EQ(node.starts(), 2U);
}

}  // namespace
}  // namespace millrace
