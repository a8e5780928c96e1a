// Whether a shard looks for more to do, or sleeps, while it waits.
#include <gtest/gtest.h>

#include "tests/reactor/uring_harness.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;

// Polls of one shard during a wait that begins right after a completion, and during twenty after that one.
struct Polls {
  std::uint64_t after_a_completion = 0, after_timers = 0;
};

Polls polls_with(Duration busy_poll) {
  Polls polls;
  UringHarness harness({.busy_poll = busy_poll});
  harness.run(1, [&](Reactor& reactor) -> Task<void> {
    const File file =
        must(co_await reactor.open(harness.folder() + "/file", {.mode = OpenMode::create, .direct = false}));
    must(co_await reactor.sync(file));
    const std::uint64_t before = reactor.counters().polls;
    must(co_await reactor.sleep(5ms));
    polls.after_a_completion = reactor.counters().polls - before;
    for (int i = 0; i < 20; ++i) must(co_await reactor.sleep(1ms));
    polls.after_timers = reactor.counters().polls - before - polls.after_a_completion;
  });
  return polls;
}

TEST(BusyPoll, LooksForMoreAfterACompletion) {
  EXPECT_GT(polls_with(1ms).after_a_completion, 0U);
}

TEST(BusyPoll, SleepsWhereOnlyTimersEnd) {
  EXPECT_EQ(polls_with(1ms).after_timers, 0U);
}

TEST(BusyPoll, SleepsAtOnceUnlessToldOtherwise) {
  EXPECT_EQ(polls_with({}).after_a_completion, 0U);
}

}  // namespace
}  // namespace millrace
