// What running things on a reactor costs: tasks, turns, timers, messages to oneself, and an empty trip to the
// kernel.
#include <benchmark/benchmark.h>

#include "bench/support/on_reactor.h"
#include "engine/reactor/wait.h"

namespace millrace {
namespace {

Task<int> answer(int value) {
  co_return value;
}

// A coroutine called and awaited: frame, start, value.
void task_await(benchmark::State& state) {
  on_reactor(state, [&](Reactor&) -> Task<void> {
    int value = 0;
    for (auto _ : state) value += co_await answer(1);
    benchmark::DoNotOptimize(value);
  });
}
BENCHMARK(task_await);

Task<void> count_down(int& left, WaitQueue& done) {
  if (--left == 0) done.wake_all();
  co_return;
}

// Tasks spawned together, until the last has run: the cost of each.
void spawn_1000(benchmark::State& state) {
  constexpr int k_tasks = 1000;
  on_reactor(state, [&](Reactor& reactor) -> Task<void> {
    WaitQueue done(reactor);
    for (auto _ : state) {
      int left = k_tasks;
      for (int i = 0; i < k_tasks; ++i) reactor.spawn(count_down(left, done));
      co_await done.wait();
    }
  });
  state.SetItemsProcessed(state.iterations() * k_tasks);
}
BENCHMARK(spawn_1000);

// Through the reactor's queue of messages, as from another shard but without its ring.
void post_to_oneself_1000(benchmark::State& state) {
  constexpr int k_messages = 1000;
  on_reactor(state, [&](Reactor& reactor) -> Task<void> {
    WaitQueue done(reactor);
    for (auto _ : state) {
      int left = k_messages;
      for (int i = 0; i < k_messages; ++i)
        reactor.post(reactor.shard(), [&](Reactor&) {
          if (--left == 0) done.wake_all();
        });
      co_await done.wait();
    }
  });
  state.SetItemsProcessed(state.iterations() * k_messages);
}
BENCHMARK(post_to_oneself_1000);

// The end of the turn: one io_uring_enter that neither submits nor waits.
void yield_a_turn(benchmark::State& state) {
  on_reactor(state, [&](Reactor& reactor) -> Task<void> {
    for (auto _ : state) co_await reactor.yield();
  });
}
BENCHMARK(yield_a_turn);

// Timers that are set and taken back: what a deadline costs that does not come.
void timer_set_and_dropped(benchmark::State& state) {
  on_reactor(state, [&](Reactor& reactor) -> Task<void> {
    for (auto _ : state) {
      for (int i = 0; i < 100; ++i) (void)reactor.sleep(std::chrono::hours(1));
      co_await reactor.yield();
    }
  });
  state.SetItemsProcessed(state.iterations() * 100);
}
BENCHMARK(timer_set_and_dropped);

}  // namespace
}  // namespace millrace
