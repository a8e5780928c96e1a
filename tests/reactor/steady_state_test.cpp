// In steady state an operation allocates nothing: this program counts every allocation.
#include <gtest/gtest.h>

#include "tests/base/counted_allocations.h"
#include "tests/reactor/uring_harness.h"

namespace millrace {
namespace {

// Runs `round` until the free lists are full, and then counts.
template <class Round>
Task<std::uint64_t> allocations_of(Round round) {
  constexpr int k_rounds = 200;
  for (int i = 0; i < k_rounds; ++i) co_await round();
  const std::uint64_t before = test::allocations();
  for (int i = 0; i < k_rounds; ++i) co_await round();
  co_return test::allocations() - before;
}

class SteadyState : public ReactorContract {};

TEST_P(SteadyState, IsCountedRightly) {
  run([&](Reactor&) -> Task<void> {
    std::vector<int> grows;
    const auto count = co_await allocations_of([&]() -> Task<void> {
      grows.emplace_back();
      grows.shrink_to_fit();
      co_return;
    });
    EXPECT_GE(count, 200U);
  });
}

TEST_P(SteadyState, WritesAndReadsAllocateNothing) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = must(co_await reactor.open(path("a"), {.mode = OpenMode::create, .direct = true}));
    must(co_await reactor.allocate(file, 0, 1 << 20));
    const auto count = co_await allocations_of([&]() -> Task<void> {
      Slices two{space(reactor, 4096)};
      two.push(space(reactor, 8192));
      must(co_await reactor.write(file, two, 0, Sync::data));
      must(co_await reactor.read(file, space(reactor, 4096), 0));
    });
    EXPECT_EQ(count, 0U);
  });
}

TEST_P(SteadyState, SendsReceivesAndDeadlinesAllocateNothing) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    const auto count = co_await allocations_of([&]() -> Task<void> {
      auto receiving =
          reactor.receive(pair.server, space(reactor, 4096), reactor.now() + std::chrono::hours(1));
      must(co_await reactor.send(pair.client, space(reactor, 100)));
      must(co_await receiving);
      (void)reactor.receive(pair.client, space(reactor, 4096));  // dropped
      must(co_await reactor.sleep_until(reactor.now()));
    });
    EXPECT_EQ(count, 0U);
  });
}

TEST_P(SteadyState, TasksAndYieldsAllocateNothing) {
  run([&](Reactor& reactor) -> Task<void> {
    const auto count = co_await allocations_of([&]() -> Task<void> {
      Gate gate(reactor);
      auto work = [](Reactor& on) -> Task<void> { co_await on.yield(); };
      for (int i = 0; i < 10; ++i) gate.spawn(work(reactor));
      co_await gate.close();
    });
    EXPECT_EQ(count, 0U);
  });
}

TEST_P(SteadyState, WorkOnAnotherShardAllocatesNothing) {
  run(2, [&](Reactor& reactor) -> Task<void> {
    const std::array<std::uint64_t, 8> large{1, 2, 3, 4, 5, 6, 7, 8};
    const auto count = co_await allocations_of([&]() -> Task<void> {
      const Slice slice = space(reactor, 4096);
      const auto last = co_await on_shard(
          reactor, ShardId{1}, [slice, large](Reactor&) -> Task<std::uint64_t> { co_return large[7]; });
      EXPECT_EQ(last, 8U);
      co_await on_shard(reactor, ShardId{1}, [](Reactor&) -> Task<void> { co_return; });
    });
    EXPECT_EQ(count, 0U);
  });
}

INSTANTIATE_TEST_SUITE_P(Uring, SteadyState, testing::Values(uring_backend("WithEverything", {})),
                         backend_name);

}  // namespace
}  // namespace millrace
