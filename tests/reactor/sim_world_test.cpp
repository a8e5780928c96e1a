// Worlds: determinism, processes, time, and how runs end.
#include <gmock/gmock.h>
#include <set>

#include "engine/reactor/wait.h"
#include "tests/reactor/sim_story.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

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

// As a shard of a thread does; and its last words are heard.
TEST(SimNode, AShardWhoseMainHasReturnedRunsNothingMore) {
  struct Farewell {
    Reactor& here;
    bool& heard;
    ~Farewell() {
      here.post(ShardId{0}, [&heard = heard](Reactor&) { heard = true; });
    }
  };
  SimWorld world(6);
  SimNode& node = world.add_node("node");
  bool heard = false, ran = false;
  auto message = std::make_shared<int>(0);
  node.start(2, [&](Reactor& reactor) -> Task<void> {
    if (reactor.shard() == ShardId{1}) {
      auto beat = [](Reactor& here, bool& last, bool& beats) -> Task<void> {
        const Farewell farewell{here, last};
        must(co_await here.sleep(1ms));
        beats = true;
      };
      reactor.spawn(beat(reactor, heard, ran));
      co_await reactor.yield();
      co_return;
    }
    must(co_await reactor.sleep(5ms));
    EXPECT_TRUE(heard);
    reactor.post(ShardId{1}, [message, &ran](Reactor&) { ran = true; });
    must(co_await reactor.sleep(5ms));
    EXPECT_EQ(message.use_count(), 1);
  });
  EXPECT_EQ(world.run_until([&] { return !node.running(); }), SimEnd::reached);
  EXPECT_FALSE(ran);
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

}  // namespace
}  // namespace millrace
