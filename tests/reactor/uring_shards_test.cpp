// Several shards, each with a ring: how they listen, talk to each other, and stop.
#include <atomic>
#include <gmock/gmock.h>

#include "tests/reactor/uring_harness.h"

namespace millrace {
namespace {

TEST(UringShards, ListenTogetherButNotWithAnotherServer) {
  must(run_uring({}, [](UringReactor& first) -> Task<void> {
    const Socket listener = must(co_await first.listen({"127.0.0.1", 0}));
    const Address address = first.local_address(listener);
    UringHarness other({});
    other.run(2, [&](Reactor& reactor) -> Task<void> {
      // However often it is asked, and whichever shard asks.
      for (const std::uint32_t shard : {0U, 0U, 1U}) {
        co_await on_shard(reactor, ShardId{shard}, [&](Reactor& there) -> Task<void> {
          EXPECT_EQ(code_of(co_await there.listen(address)), ErrorCode::unavailable);
        });
      }
      const Socket own = must(co_await reactor.listen({"127.0.0.1", 0}));
      const Address ours = reactor.local_address(own);
      co_await on_shard(reactor, ShardId{1},
                        [ours](Reactor& there) -> Task<void> { must(co_await there.listen(ours)); });
    });
  }));
}

TEST(UringShards, ValuesComeBackFromASingleReactor) {
  EXPECT_EQ(must(run_uring({},
                           [](UringReactor& reactor) -> Task<std::string> {
                             co_return "shard " + std::to_string(reactor.shard().value());
                           })),
            "shard 0");
}

TEST(UringShards, ACountOutsideItsRangeIsRefused) {
  for (const std::uint32_t count : {0U, 257U}) {
    const auto result = ShardThreads::start({.count = count, .ring = {}, .log = {}},
                                            [](UringReactor&) -> Task<void> { co_return; });
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  }
}

TEST(UringShards, FullRingsAreCounted) {
  must(run_uring({.ring = {.entries = 8}, .log = {}}, [](UringReactor& reactor) -> Task<void> {
    std::vector<Operation<File>> opens;
    for (int i = 0; i < 100; ++i) opens.push_back(reactor.open("/proc/version", {}));
    for (auto& open : opens) must(co_await open);
    EXPECT_GE(reactor.counters().operations_queued, 92U);
  }));
}

// The story: 1. the ring is full, and the last receive waits for room in it; 2. its deadline passes before
// there is any, and nothing else runs in that turn; 3. it ends where the waiting ones are submitted, and then
// the shard must not sleep. Did it, the test would not end.
TEST(UringShards, NobodySleepsWhenAnOperationEndsThatWaitedForRoomInTheRing) {
  must(run_uring({.ring = {.entries = 8}, .log = {}}, [](UringReactor& reactor) -> Task<void> {
    const Socket listener = must(co_await reactor.listen({"127.0.0.1", 0}));
    std::vector<Socket> sockets;
    for (int i = 0; i < 9; ++i)
      sockets.push_back(must(co_await reactor.connect(reactor.local_address(listener))));
    co_await next_turn(reactor);
    const Slice into = space(reactor, 4096);
    std::vector<Operation<std::uint64_t>> waiting;
    for (std::size_t i = 0; i < 8; ++i) waiting.push_back(reactor.receive(sockets[i], into));
    EXPECT_EQ(code_of(co_await reactor.receive(sockets[8], into, reactor.now())), ErrorCode::timed_out);
    EXPECT_EQ(reactor.counters().operations_queued, 1U);
  }));
}

// Every shard sends every other bursts larger than their queues and asks for an answer in between, so that
// shards fall asleep, are woken and wait for room in many orders. Were one wake lost, the test would not end.
void exchange_bursts(UringOptions ring) {
  UringHarness harness(ring);
  harness.run(4, [](Reactor& first) -> Task<void> {
    auto talk = [](Reactor& here, std::uint32_t rounds) -> Task<std::uint32_t> {
      auto seen = std::make_shared<std::atomic<std::uint32_t>>(0);
      std::uint32_t sent = 0;
      for (std::uint32_t round = 0; round < rounds; ++round) {
        const ShardId target{(here.shard().value() + 1 + round % 3) % here.shard_count()};
        const std::uint32_t burst = round % 8 == 0 ? 1300 : 1;
        for (std::uint32_t i = 0; i < burst; ++i, ++sent) here.post(target, [seen](Reactor&) { ++*seen; });
        co_await on_shard(here, target, [](Reactor&) -> Task<void> { co_return; });
        EXPECT_EQ(seen->load(), sent);
      }
      co_return sent;
    };
    Gate gate(first);
    auto start = [&talk](Reactor& here, ShardId on) -> Task<void> {
      const auto sent = co_await on_shard(here, on, [&talk](Reactor& there) { return talk(there, 200); });
      EXPECT_EQ(sent, 25U * 1300 + 175);
    };
    for (std::uint32_t shard = 0; shard < 4; ++shard) gate.spawn(start(first, ShardId{shard}));
    co_await gate.close();
  });
}

TEST(UringShards, NobodySleepsThroughAMessage) {
  exchange_bursts({});
}
TEST(UringShards, NobodySleepsThroughAMessageWithoutMsgRing) {
  exchange_bursts({.no_msg_ring = true});
}

// Each shard stops by itself, whatever the others still post to it.
TEST(UringShards, MessagesForAStoppedShardAreDestroyed) {
  auto alive = std::make_shared<int>(0);
  {
    auto threads = must(ShardThreads::start({.count = 2, .pin = false, .ring = {}, .log = {}},
                                            [&](UringReactor& reactor) -> Task<void> {
                                              if (reactor.shard() == ShardId{1}) co_return;
                                              for (int i = 0; i < 5000; ++i)
                                                reactor.post(ShardId{1}, [alive](Reactor&) {});
                                              co_await next_turn(reactor);
                                            }));
    threads->join();
  }
  EXPECT_EQ(alive.use_count(), 1);
}

// The story: 1. a shard sleeps; 2. another one ends, and with it a task whose destructor posts to the first;
// 3. nothing else is in flight there, and the bell has to be rung all the same. Were it not, the test would
// not end.
TEST(UringShards, AMessagePostedByADestructorWhileItsShardStopsWakesTheOther) {
  struct Farewell {
    Reactor& here;
    std::function<void()> say;
    ~Farewell() {
      here.post(ShardId{1}, [what = std::move(say)](Reactor&) { what(); });
    }
  };
  std::optional<WaitQueue> queue;
  bool heard = false;
  auto threads = must(ShardThreads::start({.count = 2, .pin = false, .ring = {}, .log = {}},
                                          [&](UringReactor& reactor) -> Task<void> {
                                            if (reactor.shard() == ShardId{1}) {
                                              queue.emplace(reactor);
                                              while (!heard) co_await queue->wait();
                                              co_return;
                                            }
                                            auto wait = [&](Reactor& here) -> Task<void> {
                                              const Farewell farewell{here, [&] {
                                                                        heard = true;
                                                                        queue->wake_all();
                                                                      }};
                                              WaitQueue nobody_wakes(here);
                                              co_await nobody_wakes.wait();
                                            };
                                            // Long enough for the other shard to fall asleep.
                                            must(co_await reactor.sleep(std::chrono::milliseconds(20)));
                                            reactor.spawn(wait(reactor));
                                            co_await reactor.yield();
                                          }));
  threads->join();
  EXPECT_TRUE(heard);
}

}  // namespace
}  // namespace millrace
