// What a checkpoint says of a log that others change meanwhile.
#include <gtest/gtest.h>

#include "engine/log/data_folder.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/wait.h"
#include "tests/log/log_story.h"

namespace millrace::test {
namespace {

// The trim and the commit before the checkpoint become durable in one turn of the reactor; the checkpoint is
// the first to go on.
TEST(ShardLog, ATrimThatACheckpointFollowsAtOnceIsInIt) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    LogStory story(seed);
    story.settings.segment_size = k_segment_size_min;
    bool done = false;
    const auto append = [&](LogStory::Logs& logs) -> Task<void> {
      while (!done) expect_ok(co_await story.append(logs, k_group, 70'000));
    };
    const auto trim = [&](LogStory::Logs& logs) -> Task<void> {
      const LogCounters& counters = logs.of(k_group).counters();
      std::uint64_t before = 0;
      do {
        before = counters.checkpoints;
        const LogView view = *logs.of(k_group).view(k_group);
        // There is nothing to trim, and no time passes by itself.
        if (view.durable.next_offset == view.start.offset)
          co_await logs.reactor.sleep(std::chrono::microseconds(1));
        expect_ok(co_await story.trim(logs, k_group, view.durable.next_offset));
      } while (counters.checkpoints == before || counters.checkpoints < 1 + seed % 4);
      done = true;
    };
    expect_ok(story.run(
        [&](LogStory::Logs& logs) -> Task<void> {
          expect_ok(co_await story.create(logs, k_group));
          Gate gate(logs.reactor);
          for (int i = 0; i < 4; ++i) gate.spawn(append(logs));
          gate.spawn(trim(logs));
          co_await gate.close();
        },
        LogStory::End::abandoned));
    story.expect_everything();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

// The story: 1. an old segment is followed by an empty one, which a checkpoint names; 2. the next checkpoint
// has found nothing to move of that log and waits for others; 3. meanwhile the log is trimmed to its end, and
// the old segment is free to go; 4. the trim has no place yet when the checkpoint says where the log ends.
TEST(ShardLog, ACheckpointDoesNotNameASegmentThatWentWhileItWaited) {
  constexpr std::uint64_t k_groups = 64;
  LogStory story(80);
  story.settings.segment_size = 8_MiB;
  // Nothing is moved but for a checkpoint.
  story.log_options.cache_bytes = story.log_options.unplaced_bytes_max = 64_MiB;
  bool is_moving = false;
  expect_ok(story.run(
      [&](LogStory::Logs& logs) -> Task<void> {
        ShardLog& log = logs.of(k_group);
        const LogCounters& counters = log.counters();
        // Some of the others come behind it in the checkpoint's order, whatever that is.
        for (std::uint64_t g = 0; g < k_groups; ++g)
          expect_ok(co_await story.create(logs, GroupId{1 + (g + k_groups / 2) % k_groups}));
        expect_ok(co_await story.append(logs, k_group, 100));
        LogSettings settings = story.settings;
        settings.segment_age = std::chrono::milliseconds(1);
        expect_ok(log.configure(k_group, settings));
        while (log.size(k_group)->segments < 2) co_await logs.reactor.sleep(std::chrono::milliseconds(1));

        const auto fill_journal_until = [&](const auto& reached) -> Task<void> {
          for (std::uint64_t i = 0; !reached(); ++i)
            expect_ok(co_await story.append(logs, GroupId{2 + i % (k_groups - 1)}, 20'000));
        };
        co_await fill_journal_until([&] { return counters.checkpoints == 1; });
        const std::string own = DataFolder("data").group_folder(k_group);
        story.disk().faults().fail({.matches = [&is_moving, own](const SimAccess& access) {
          is_moving = is_moving || (access.verb == Verb::write && access.path.contains(".segment") &&
                                    !access.path.starts_with(own));
          return false;
        }});
        co_await fill_journal_until([&] { return is_moving; });
        expect_ok(co_await story.trim(logs, k_group, log.view(k_group)->durable.next_offset));
        EXPECT_EQ(counters.checkpoints, 1U);
        while (counters.checkpoints == 1) co_await logs.reactor.sleep(std::chrono::microseconds(10));
        EXPECT_EQ(counters.segments_removed, 1U);
      },
      LogStory::End::abandoned));
  story.expect_everything();
}

}  // namespace
}  // namespace millrace::test
