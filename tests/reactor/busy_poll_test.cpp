// Whether a shard looks for more to do, or sleeps, while it waits.
#include <gtest/gtest.h>

#include "tests/reactor/uring_harness.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;

// Turns that a wait of a millisecond took, begun when something had just been completed.
Task<std::uint64_t> turns_of_a_wait(Reactor& reactor, const File& file) {
  must(co_await reactor.sync(file));
  const std::uint64_t before = reactor.counters().turns;
  must(co_await reactor.sleep(1ms));
  co_return reactor.counters().turns - before;
}

void with_file(UringOptions options, const std::function<Task<void>(Reactor&, const File&)>& main) {
  UringHarness harness(options);
  harness.run(1, [&](Reactor& reactor) -> Task<void> {
    const File file =
        must(co_await reactor.open(harness.folder() + "/file", {.mode = OpenMode::create, .direct = false}));
    co_await main(reactor, file);
  });
}

TEST(BusyPoll, LooksForMoreAfterACompletion) {
  with_file({.busy_poll = 1h}, [](Reactor& reactor, const File& file) -> Task<void> {
    // Not where others want the processor at this moment; they do not want it every time.
    constexpr int k_tries = 1000;
    constexpr std::uint64_t k_turns_of_a_sleeper = 10;
    bool polled = false;
    for (int i = 0; i < k_tries && !polled; ++i)
      polled = co_await turns_of_a_wait(reactor, file) > k_turns_of_a_sleeper;
    EXPECT_TRUE(polled);
  });
}

TEST(BusyPoll, SleepsAtOnceUnlessToldOtherwise) {
  with_file({}, [](Reactor& reactor, const File& file) -> Task<void> {
    // One that submits the timer's wait, and one that it wakes; the file's descriptor and such may add to it.
    EXPECT_LE(co_await turns_of_a_wait(reactor, file), 5U);
  });
}

TEST(BusyPoll, SleepsWhenItHasLookedForSoLong) {
  with_file({.busy_poll = 1ns}, [](Reactor& reactor, const File& file) -> Task<void> {
    EXPECT_LE(co_await turns_of_a_wait(reactor, file), 5U);
  });
}

}  // namespace
}  // namespace millrace
