// The contract of Reactor: coroutines, timers, cancellation, other shards, the end.
//
// Durations are here only where timers are what is tested, and as hours that never pass. What has to happen
// first is waited for by what the reactor does: its next turn, an operation, a message.
#include <gmock/gmock.h>

#include "engine/base/limits.h"
#include "engine/reactor/mutex.h"
#include "tests/reactor/contract_harness.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;

using Trace = std::vector<std::string>;

// Looks again behind one operation after the other, however long they take: if a buffer were kept, the test
// would not end.
Task<void> until_buffers_are(Reactor& reactor, std::uint64_t bytes, std::string folder) {
  while (reactor.buffers().bytes_in_use() > bytes) must(co_await reactor.list(folder));
}

TEST_P(ReactorContract, NoResultIsThereBeforeTheVerbHasReturned) {
  run([&](Reactor& reactor) -> Task<void> {
    auto open = reactor.open(path("missing"), {});
    auto sleep = reactor.sleep_until(reactor.now());
    auto list = reactor.list(path("."));
    EXPECT_FALSE(open.await_ready());
    EXPECT_FALSE(sleep.await_ready());
    EXPECT_FALSE(list.await_ready());
    EXPECT_EQ(code_of(co_await open), ErrorCode::not_found);
    must(co_await sleep);
    must(co_await list);
  });
}

TEST_P(ReactorContract, SpawnedTasksBeginInOrderAfterTheirCaller) {
  run([&](Reactor& reactor) -> Task<void> {
    Trace trace;
    auto work = [](Trace& out, std::string word) -> Task<void> {
      out.push_back(std::move(word));
      co_return;
    };
    reactor.spawn(work(trace, "first"));
    reactor.spawn(work(trace, "second"));
    trace.emplace_back("caller");
    co_await reactor.yield();
    EXPECT_THAT(trace, ElementsAre("caller", "first", "second"));
  });
}

// Group commit: what can run in a turn has run before the one who yielded goes on, and no turn is lost.
TEST_P(ReactorContract, AYieldedTaskRunsLastInTheSameTurn) {
  run([&](Reactor& reactor) -> Task<void> {
    Trace trace;
    const auto turn = reactor.counters().turns;
    auto chain = [](Reactor& on, Trace& out, int depth, auto& self) -> Task<void> {
      out.push_back("append");
      if (depth > 0) on.spawn(self(on, out, depth - 1, self));
      co_return;
    };
    reactor.spawn(chain(reactor, trace, 2, chain));
    co_await reactor.yield();
    trace.emplace_back("seal");
    EXPECT_EQ(reactor.counters().turns, turn);
    EXPECT_THAT(trace, ElementsAre("append", "append", "append", "seal"));
    // A second yield waits for the next turn, which does not sleep.
    co_await reactor.yield();
    EXPECT_EQ(reactor.counters().turns, turn + 1);
  });
}

TEST_P(ReactorContract, TimersFireInTheOrderOfTheirTimes) {
  run([&](Reactor& reactor) -> Task<void> {
    Trace trace;
    Gate gate(reactor);
    auto wait = [](Reactor& on, Trace& out, MonotonicTime until, std::string word) -> Task<void> {
      must(co_await on.sleep_until(until));
      EXPECT_GE(on.now(), until);
      out.push_back(std::move(word));
    };
    const MonotonicTime now = reactor.now();
    gate.spawn(wait(reactor, trace, now + 3ms, "third"));
    gate.spawn(wait(reactor, trace, now + 1ms, "first"));
    gate.spawn(wait(reactor, trace, now + 2ms, "second"));
    gate.spawn(wait(reactor, trace, now + 3ms, "fourth"));
    gate.spawn(wait(reactor, trace, now - 1ms, "at once"));
    co_await gate.close();
    EXPECT_THAT(trace, ElementsAre("at once", "first", "second", "third", "fourth"));
    EXPECT_FALSE(gate.spawn(wait(reactor, trace, now, "too late")));
  });
}

Task<void> hold(Mutex& mutex, MonotonicTime deadline, Trace& trace, std::string word) {
  if (co_await mutex.lock_until(deadline)) {
    trace.push_back(word + " has it");
    mutex.unlock();
  } else {
    trace.push_back(word + " gave up");
  }
}

TEST_P(ReactorContract, AMutexGoesToThoseWhoStillWaitInTheirOrder) {
  run([&](Reactor& reactor) -> Task<void> {
    Mutex mutex(reactor);
    Trace trace;
    Gate gate(reactor);
    co_await mutex.lock();
    gate.spawn(hold(mutex, k_never, trace, "first"));
    gate.spawn(hold(mutex, reactor.now() - 1ms, trace, "late"));
    gate.spawn(hold(mutex, reactor.now() + 1h, trace, "second"));
    while (trace.empty()) co_await next_turn(reactor);
    mutex.unlock();
    co_await gate.close();
    EXPECT_THAT(trace, ElementsAre("late gave up", "first has it", "second has it"));
    EXPECT_FALSE(mutex.locked());
  });
}

// Were it lost with the one who gives up, nobody would ever have it again.
TEST_P(ReactorContract, AMutexHandedOverAtTheDeadlineIsNotLost) {
  run([&](Reactor& reactor) -> Task<void> {
    Mutex mutex(reactor);
    Trace trace;
    Gate gate(reactor);
    co_await mutex.lock();
    const MonotonicTime deadline = reactor.now() + 1ms;
    auto holding = reactor.sleep_until(deadline);  // ends before the waiter's does
    gate.spawn(hold(mutex, deadline, trace, "first"));
    gate.spawn(hold(mutex, k_never, trace, "second"));
    must(co_await holding);
    mutex.unlock();
    co_await gate.close();
    EXPECT_THAT(trace, ElementsAre("first has it", "second has it"));
    EXPECT_FALSE(mutex.locked());
  });
}

TEST_P(ReactorContract, ADroppedOperationKeepsItsBufferUntilItHasEnded) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    const auto before = reactor.buffers().bytes_in_use();
    {
      auto dropped = reactor.receive(pair.server, space(reactor, 4096));
      co_await next_turn(reactor);
      EXPECT_EQ(reactor.buffers().bytes_in_use(), before + 4096);
    }
    co_await until_buffers_are(reactor, before, path("."));
    EXPECT_EQ(reactor.buffers().bytes_in_use(), before);
    // The socket still works.
    auto receiving = reactor.receive(pair.server, space(reactor, 4096));
    must(co_await reactor.send(pair.client, slice_of(reactor, "on")));
    EXPECT_EQ(must(co_await receiving), 2U);
  });
}

TEST_P(ReactorContract, OperationsDroppedInTheirFirstTurnEnd) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = co_await created(reactor, path("a"));
    const Pair pair = co_await connected(reactor);
    const auto before = reactor.buffers().bytes_in_use();
    for (int i = 0; i < 100; ++i) {
      (void)reactor.write(file, pattern(reactor, 4096, 1), 0, Sync::no);
      (void)reactor.receive(pair.server, space(reactor, 4096));
      (void)reactor.sleep(1h);
      (void)reactor.open(path("a"), {});
      (void)reactor.accept(pair.listener);
      (void)reactor.list(path("."));
    }
    co_await until_buffers_are(reactor, before, path("."));
    EXPECT_EQ(reactor.buffers().bytes_in_use(), before);
  });
}

TEST_P(ReactorContract, ACoroutineMayBeDestroyedWhileItWaits) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    const auto before = reactor.buffers().bytes_in_use();
    auto wait = [](Reactor& on, Socket socket, Slice into) -> Task<void> {
      (void)co_await on.receive(std::move(socket), std::move(into));
      ADD_FAILURE() << "a destroyed coroutine was resumed";
    };
    {
      auto task = wait(reactor, pair.server, space(reactor, 4096));
      auto handle = task.release();
      handle.resume();
      co_await next_turn(reactor);
      handle.destroy();
    }
    co_await until_buffers_are(reactor, before, path("."));
    EXPECT_EQ(reactor.buffers().bytes_in_use(), before);
  });
}

// The story: 1. two coroutines wait for timers that end in the same turn; 2. both are scheduled; 3. the first
// destroys the second, which must leave the queue; 4. nothing resumes it.
TEST_P(ReactorContract, ACoroutineMayBeDestroyedBetweenItsResultAndItsTurn) {
  run([&](Reactor& reactor) -> Task<void> {
    const MonotonicTime until = reactor.now() + 1ms;
    auto wait = [](Reactor& on, MonotonicTime time) -> Task<void> {
      must(co_await on.sleep_until(time));
      ADD_FAILURE() << "a destroyed coroutine was resumed";
    };
    auto mine = reactor.sleep_until(until);
    auto handle = wait(reactor, until).release();
    handle.resume();
    must(co_await mine);
    handle.destroy();
    co_await next_turn(reactor);
  });
}

TEST_P(ReactorContract, ADestroyedWaiterLeavesItsQueue) {
  run([&](Reactor& reactor) -> Task<void> {
    WaitQueue queue(reactor);
    Trace trace;
    auto wait = [](WaitQueue& on, Trace& out, std::string word) -> Task<void> {
      co_await on.wait();
      out.push_back(std::move(word));
    };
    auto queued = wait(queue, trace, "destroyed in the queue").release();
    auto woken = wait(queue, trace, "destroyed when woken").release();
    queued.resume();
    woken.resume();
    reactor.spawn(wait(queue, trace, "runs"));
    co_await reactor.yield();
    queued.destroy();
    queue.wake_all();
    woken.destroy();
    EXPECT_TRUE(queue.empty());
    co_await reactor.yield();
    EXPECT_THAT(trace, ElementsAre("runs"));
  });
}

TEST_P(ReactorContract, MessagesArriveInTheOrderOfPosting) {
  run(3, [&](Reactor& reactor) -> Task<void> {
    EXPECT_EQ(reactor.shard_count(), 3U);
    // More than any queue between two shards holds.
    constexpr std::uint32_t k_messages = 20'000;
    for (std::uint32_t target = 0; target < 3; ++target) {
      auto seen = std::make_shared<std::uint32_t>(0);
      for (std::uint32_t i = 0; i < k_messages; ++i) {
        reactor.post(ShardId{target}, [seen, i, target](Reactor& there) {
          EXPECT_EQ(there.shard(), ShardId{target});
          EXPECT_EQ((*seen)++, i);
        });
      }
      // Behind them all.
      const auto count = co_await on_shard(reactor, ShardId{target},
                                           [seen](Reactor&) -> Task<std::uint32_t> { co_return *seen; });
      EXPECT_EQ(count, k_messages);
    }
  });
}

TEST_P(ReactorContract, WorkOnAnotherShardBringsItsResultBack) {
  run(2, [&](Reactor& reactor) -> Task<void> {
    for (int i = 0; i < 100; ++i) {
      const std::string said =
          co_await on_shard(reactor, ShardId{1}, [i](Reactor& there) -> Task<std::string> {
            must(co_await there.sleep_until(there.now()));
            co_return "shard " + std::to_string(there.shard().value()) + " was asked " + std::to_string(i);
          });
      EXPECT_EQ(said, "shard 1 was asked " + std::to_string(i));
    }
    co_await on_shard(reactor, ShardId{0}, [](Reactor& here) -> Task<void> {
      EXPECT_EQ(here.shard(), ShardId{0});
      co_return;
    });
  });
}

TEST_P(ReactorContract, AnIdleShardIsWoken) {
  run(2, [&](Reactor& reactor) -> Task<void> {
    for (int i = 0; i < 20; ++i) {
      // Meanwhile the other has nothing to do and falls asleep, though nothing depends on it.
      must(co_await reactor.list(path(".")));
      co_await on_shard(reactor, ShardId{1}, [](Reactor&) -> Task<void> { co_return; });
    }
  });
}

TEST_P(ReactorContract, AWaiterForAnotherShardMayBeDestroyed) {
  run(2, [&](Reactor& reactor) -> Task<void> {
    WaitQueue changed(reactor);
    bool done = false;
    const auto work = [&, folder = path(".")](Reactor& there) -> Task<void> {
      must(co_await there.list(folder));
      there.post(ShardId{0}, [&](Reactor&) {
        done = true;
        changed.wake_all();
      });
    };
    auto wait = [](Reactor& here, auto on_the_other) -> Task<void> {
      co_await on_shard(here, ShardId{1}, on_the_other);
      ADD_FAILURE() << "a destroyed coroutine was resumed";
    };
    auto handle = wait(reactor, work).release();
    handle.resume();
    handle.destroy();
    // The work there finishes all the same.
    while (!done) co_await changed.wait();
  });
}

TEST_P(ReactorContract, AReactorStopsWithOperationsInFlight) {
  run(2, [&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    const File file = co_await created(reactor, path("a"));
    auto receive = [](Reactor& on, Socket socket) -> Task<void> {
      (void)co_await on.receive(std::move(socket), space(on, 4096));
      ADD_FAILURE() << "nobody has sent anything";
    };
    auto accept = [](Reactor& on, Socket socket) -> Task<void> {
      (void)co_await on.accept(std::move(socket));
      ADD_FAILURE() << "nobody has connected";
    };
    auto sleep = [](Reactor& on) -> Task<void> {
      (void)co_await on.sleep(1h);
      ADD_FAILURE() << "no hour has passed";
    };
    auto write = [](Reactor& on, File to) -> Task<void> {
      for (;;) must(co_await on.write(to, pattern(on, 256 << 10, 3), 0, Sync::data));
    };
    auto wait = [](Reactor& on) -> Task<void> {
      WaitQueue queue(on);
      co_await queue.wait();
    };
    auto call = [](Reactor& on) -> Task<void> {
      co_await on_shard(on, ShardId{1}, [](Reactor& there) -> Task<void> { must(co_await there.sleep(1h)); });
    };
    reactor.spawn(receive(reactor, pair.server));
    reactor.spawn(accept(reactor, pair.listener));
    reactor.spawn(sleep(reactor));
    reactor.spawn(write(reactor, file));
    reactor.spawn(wait(reactor));
    reactor.spawn(call(reactor));
    co_await next_turn(reactor);
    // Behind the call, so that what it calls has begun.
    co_await on_shard(reactor, ShardId{1}, [](Reactor&) -> Task<void> { co_return; });
  });
}

TEST_P(ReactorContract, RandomNumbersDiffer) {
  run([&](Reactor& reactor) -> Task<void> {
    EXPECT_NE(reactor.random(), reactor.random());
    EXPECT_GT(reactor.wall_clock().milliseconds, 0);
    co_return;
  });
}

}  // namespace
}  // namespace millrace
