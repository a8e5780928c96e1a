// Worlds: determinism, processes, crashes, faults of disks as programs meet them, and the proof that leaving
// out a sync is found.
#include "engine/reactor/sim_world.h"

#include <cerrno>
#include <gmock/gmock.h>
#include <set>

#include "engine/reactor/wait.h"
#include "tests/reactor/contract_harness.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

Slice slice_of(Reactor& reactor, std::string_view text) {
  Slice slice{must(reactor.buffers().acquire(text.size())), 0, static_cast<std::uint32_t>(text.size())};
  std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), slice.buffer.data());
  return slice;
}

// Creates a file and writes it; `sync` says how durable it is made.
struct Durability {
  Sync write = Sync::no;
  bool sync_file = false;
  bool sync_folder = false;
};
Task<Result<void>> store(Reactor& reactor, std::string path, std::string text, Durability durability) {
  CO_TRY(const File file, co_await reactor.open(path, {.mode = OpenMode::create}));
  CO_TRY_VOID(co_await reactor.write(file, slice_of(reactor, text), 0, durability.write));
  if (durability.sync_file) CO_TRY_VOID(co_await reactor.sync(file));
  if (durability.sync_folder) CO_TRY_VOID(co_await reactor.sync_folder("."));
  co_return Result<void>{};
}
constexpr Durability k_all_of_it{.write = Sync::data, .sync_file = true, .sync_folder = true};

// ---- determinism ------------------------------------------------------------

// A bit of everything: files, shards, sockets, timers, a kill.
std::uint64_t busy_run(std::uint64_t seed) {
  SimWorld world(seed);
  SimNode& server = world.add_node("server");
  SimNode& client = world.add_node("client");
  server.start(2, [](Reactor& reactor) -> Task<void> {
    const Socket listener = must(co_await reactor.listen({"0.0.0.0", 7420}));
    for (;;) {
      const Socket socket = must(co_await reactor.accept(listener));
      const Slice slice = slice_of(reactor, std::string(1000, ' '));
      while (true) {
        const auto count = co_await reactor.receive(socket, slice);
        if (!count || *count == 0) break;
        if (!co_await reactor.send(socket, Slice{slice.buffer, 0, static_cast<std::uint32_t>(*count)})) break;
        co_await on_shard(reactor, ShardId{1 - reactor.shard().value()}, [](Reactor& there) -> Task<void> {
          const std::string path = std::to_string(there.random());
          must(co_await store(there, path, path, {.write = Sync::data}));
        });
      }
    }
  });
  world.after(20ms, [&] { server.kill(); });
  const SimEnd end = world.run(client, [&](Reactor& reactor) -> Task<void> {
    const Socket socket = must(co_await reactor.connect(server.address(7420), reactor.now() + 1s));
    const Slice slice = slice_of(reactor, std::string(1000, 'x'));
    while (co_await reactor.send(socket, slice)) {
      const auto count = co_await reactor.receive(socket, slice, reactor.now() + 5ms);
      if (!count && count.error().code != ErrorCode::timed_out) break;
      must(co_await reactor.sleep(100us));
    }
  });
  EXPECT_EQ(end, SimEnd::reached) << world.waiting();
  EXPECT_GT(world.event_count(), 100U);
  return world.trace_hash();
}

TEST(SimWorld, TheSameSeedIsTheSameRun) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed)
    EXPECT_EQ(busy_run(seed), busy_run(seed)) << "seed " << seed;
}

TEST(SimWorld, DifferentSeedsAreDifferentRuns) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) hashes.insert(busy_run(seed));
  EXPECT_EQ(hashes.size(), 20U);
}

// ---- crashes ----------------------------------------------------------------

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

// ---- processes --------------------------------------------------------------

TEST(SimNode, SignalsReachTheShardThatWaits) {
  SimWorld world(6);
  SimNode& node = world.add_node("node");
  std::uint64_t signal = 0;
  node.start(2, [&](Reactor& reactor) -> Task<void> {
    if (reactor.shard() == ShardId{1}) signal = must(co_await reactor.wait_signal());
  });
  world.run_for(1s);
  EXPECT_TRUE(node.running());
  node.terminate(2);
  EXPECT_EQ(world.run_until([&] { return !node.running(); }), SimEnd::reached);
  EXPECT_EQ(signal, 2U);
}

TEST(SimNode, APausedProcessRunsNoTurn) {
  SimWorld world(7);
  SimNode& node = world.add_node("node");
  int beats = 0;
  node.start(1, [&](Reactor& reactor) -> Task<void> {
    for (;;) {
      must(co_await reactor.sleep(1ms));
      ++beats;
    }
  });
  world.run_for(10ms);
  node.pause(50ms);
  const int before = beats;
  world.run_for(49ms);
  EXPECT_EQ(beats, before);
  world.run_for(10ms);
  EXPECT_GT(beats, before);
}

TEST(SimNode, TheWallClockJumpsAndTheOtherDoesNot) {
  SimWorld world(8);
  SimNode& node = world.add_node("node");
  ASSERT_EQ(world.run(node,
                      [&](Reactor& reactor) -> Task<void> {
                        const WallTime wall = reactor.wall_clock();
                        const MonotonicTime now = reactor.now();
                        node.jump_clock(-1h);
                        must(co_await reactor.sleep(5ms));
                        EXPECT_LT(reactor.wall_clock(), wall);
                        EXPECT_GE(reactor.now(), now + 5ms);
                        EXPECT_LT(reactor.now(), now + 6ms);
                      }),
            SimEnd::reached);
}

TEST(SimWorld, ATaskThatNothingCanWakeIsADeadlock) {
  SimWorld world(9);
  SimNode& node = world.add_node("node");
  const SimEnd end = world.run(node, [](Reactor& reactor) -> Task<void> {
    const Socket listener = must(co_await reactor.listen({"0.0.0.0", 7420}));
    must(co_await reactor.accept(listener));
  });
  EXPECT_EQ(end, SimEnd::deadlock);
  EXPECT_THAT(world.waiting(), HasSubstr("node/0 waits for: accept on 0.0.0.0:7420"));
}

TEST(SimWorld, ARunEndsAtItsLimit) {
  SimWorld world(10);
  SimNode& node = world.add_node("node");
  const MonotonicTime start = world.now();
  const SimEnd end = world.run(
      node,
      [](Reactor& reactor) -> Task<void> {
        for (;;) must(co_await reactor.sleep(1s));
      },
      10s);
  EXPECT_EQ(end, SimEnd::out_of_time);
  EXPECT_EQ(world.now(), start + 10s);
}

TEST(SimWorld, EventsAreFollowedByTheCheckOfInvariants) {
  SimWorld world(11);
  std::uint64_t checks = 0;
  world.after_each_event([&] { ++checks; });
  for (int i = 0; i < 5; ++i) world.after(1ms * i, [] {});
  world.run_for(1s);
  EXPECT_EQ(checks, 5U);
  EXPECT_EQ(world.event_count(), 5U);
}

TEST(SimReactor, CloseWaitsForWhatIsInFlight) {
  SimWorld world(12);
  SimNode& node = world.add_node("node");
  node.disk().write_file("file", "old");
  ASSERT_EQ(world.run(node,
                      [&](Reactor& reactor) -> Task<void> {
                        const File file = must(co_await reactor.open("file", {.mode = OpenMode::read_write}));
                        node.disk().faults().latency_min = node.disk().faults().latency_max = 10ms;
                        auto writing = reactor.write(file, slice_of(reactor, "new"), 0, Sync::no);
                        must(co_await reactor.close(file));
                        EXPECT_EQ(node.disk().read_file("file"), "new");
                        must(co_await writing);
                        EXPECT_EQ(code_of(co_await reactor.size(file)), ErrorCode::invalid_argument);
                      }),
            SimEnd::reached);
}

// ---- faults of disks --------------------------------------------------------

class SimFaultTest : public testing::Test {
 protected:
  Result<void> stored(Durability durability = k_all_of_it) {
    Result<void> result;
    EXPECT_EQ(world.run(node,
                        [&](Reactor& reactor) -> Task<void> {
                          result = co_await store(reactor, "file" + std::to_string(node.starts()), "content",
                                                  durability);
                        }),
              SimEnd::reached);
    return result;
  }
  ErrorCode failure(Durability durability = k_all_of_it) {
    const auto result = stored(durability);
    return code_of(result);
  }
  SimWorld world{12};
  SimNode& node = world.add_node("node");
  SimFaults& faults = node.disk().faults();
};

TEST_F(SimFaultTest, TheNthOperationFailsOnceOrForEver) {
  ASSERT_TRUE(stored());
  const std::uint64_t operations = faults.operations();
  EXPECT_EQ(operations, 4U);
  for (std::uint64_t n = 1; n <= operations; ++n) {
    faults.fail_nth(n, EIO);
    EXPECT_NE(failure(), ErrorCode{}) << "operation " << n;
    EXPECT_EQ(failure(), ErrorCode{}) << "operation " << n;
  }
  faults.fail_nth(2, EIO, SimFaults::k_forever);
  EXPECT_EQ(failure(), ErrorCode::sync_failed);
  EXPECT_EQ(failure(), ErrorCode::io_error);
  faults.clear();
  EXPECT_EQ(failure(), ErrorCode{});
}

TEST_F(SimFaultTest, AFailedSyncIsFinalAndAFullDiskIsNot) {
  faults.fail({.matches = on(Verb::sync), .error = EIO});
  EXPECT_EQ(failure(), ErrorCode::sync_failed);
  faults.fail({.matches = on(Verb::write), .error = ENOSPC});
  EXPECT_EQ(failure(), ErrorCode::disk_full);
  node.disk().set_capacity(node.disk().used());
  EXPECT_EQ(failure(), ErrorCode::disk_full);
  node.disk().set_capacity(1_GiB);
  EXPECT_EQ(failure(), ErrorCode{});
}

TEST_F(SimFaultTest, WithoutSyncedWritesAWriteIsFollowedByASync) {
  faults.refuse_synced_writes = true;
  ASSERT_TRUE(stored({.write = Sync::data, .sync_folder = true}));
  EXPECT_EQ(faults.operations(), 4U);  // open, write, sync, sync folder
  EXPECT_EQ(node.disk().pending(), 0U);
  faults.fail({.matches = on(Verb::sync), .error = EIO});
  EXPECT_EQ(failure({.write = Sync::data}), ErrorCode::sync_failed);
}

TEST_F(SimFaultTest, WritesGetLostAndGoAstray) {
  node.disk().write_file("file1", "");
  const auto overwrite = [&](std::string_view text) {
    EXPECT_EQ(
        world.run(node,
                  [&](Reactor& reactor) -> Task<void> {
                    const File file = must(co_await reactor.open("file1", {.mode = OpenMode::read_write}));
                    EXPECT_EQ(must(co_await reactor.write(file, slice_of(reactor, text), 0, Sync::data)),
                              text.size());
                  }),
        SimEnd::reached);
    return node.disk().read_file("file1");
  };
  faults.fail({.matches = on(Verb::write), .kind = SimFaults::Kind::lose});
  EXPECT_EQ(overwrite("1"), "");
  faults.fail({.matches = on(Verb::write), .kind = SimFaults::Kind::misdirect, .shift = 2});
  EXPECT_EQ(overwrite("2"), std::string("\0\0002", 3));
  EXPECT_EQ(overwrite("3"), std::string("3\0002", 3));
}

TEST_F(SimFaultTest, ShortWritesGoOnAndStallsEnd) {
  faults.short_transfers = 1'000'000;
  faults.stalls = 1'000'000;
  EXPECT_EQ(world.run(node,
                      [&](Reactor& reactor) -> Task<void> {
                        must(co_await store(reactor, "file", std::string(100'000, 'x'), k_all_of_it));
                      }),
            SimEnd::reached);
  EXPECT_EQ(node.disk().read_file("file"), std::string(100'000, 'x'));
}

}  // namespace
}  // namespace millrace
