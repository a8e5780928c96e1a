// A log and producers that send again: nothing stands in it twice, whatever happened in between.
#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>

#include "engine/reactor/wait.h"
#include "tests/log/log_sender.h"

namespace millrace::test {
namespace {

// One batch of one record; the log's answer in words.
Task<std::string> send(LogStory::Logs& logs, const ProducerStamp& stamp, std::uint32_t size = 100,
                       GroupId group = k_group) {
  const auto record = static_cast<std::uint64_t>(stamp.id * 1000 + stamp.sequence);
  const auto answer = co_await logs.of(group).append(
      group, make_stamped_batch(logs.reactor.buffers(), stamp, record, size), 1, AckLevel::durable);
  if (!answer) co_return std::string(name(answer.error().code));
  EXPECT_EQ(answer->level, AckLevel::durable);
  EXPECT_GT(logs.of(group).view(group)->durable.next_offset, answer->base_offset) << "answered too early";
  co_return fmt::format("{} at {}", answer->duplicate ? "known" : "new", answer->base_offset.value());
}

Task<void> create(LogStory& story, LogStory::Logs& logs, GroupId group = k_group) {
  EXPECT_TRUE(co_await story.create(logs, group));
}

TEST(Idempotence, ARepetitionIsAnsweredWithTheFirstOffsetAndNotStored) {
  LogStory story(1);
  const auto run = story.run([&](LogStory::Logs& logs) -> Task<void> {
    co_await create(story, logs);
    EXPECT_EQ(co_await send(logs, {7, 0, 0}), "new at 0");
    EXPECT_EQ(co_await send(logs, {7, 0, 1}), "new at 1");
    EXPECT_EQ(co_await send(logs, {7, 0, 0}), "known at 0");
    EXPECT_EQ(co_await send(logs, {7, 0, 1}), "known at 1");
    EXPECT_EQ(logs.of(k_group).view(k_group)->end.next_offset, Offset{2});
    EXPECT_EQ(logs.of(k_group).counters().duplicates, 2u);
  });
  EXPECT_TRUE(run);
}

TEST(Idempotence, ARepetitionOfWhatIsOnItsWayWaitsForIt) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    LogStory story(seed);
    const auto run = story.run([&](LogStory::Logs& logs) -> Task<void> {
      co_await create(story, logs);
      std::vector<std::string> answers;
      Gate gate(logs.reactor);
      for (int i = 0; i < 3; ++i) {
        gate.spawn([](LogStory::Logs& to, std::vector<std::string>& into) -> Task<void> {
          into.push_back(co_await send(to, {7, 0, 0}, 80'000));
        }(logs, answers));
      }
      co_await gate.close();
      std::ranges::sort(answers);
      EXPECT_EQ(answers, (std::vector<std::string>{"known at 0", "known at 0", "new at 0"}));
    });
    EXPECT_TRUE(run);
  }
}

TEST(Idempotence, GapsOldEpochsAndUnknownProducersAreRefusedByName) {
  LogStory story(1);
  const auto run = story.run([&](LogStory::Logs& logs) -> Task<void> {
    co_await create(story, logs);
    EXPECT_EQ(co_await send(logs, {7, 0, 3}), "unknown_producer");
    EXPECT_EQ(co_await send(logs, {7, 0, 0}), "new at 0");
    EXPECT_EQ(co_await send(logs, {7, 0, 2}), "out_of_order_sequence");
    EXPECT_EQ(co_await send(logs, {7, 1, 0}), "new at 1");
    EXPECT_EQ(co_await send(logs, {7, 0, 1}), "producer_fenced");
    EXPECT_EQ(logs.of(k_group).view(k_group)->end.next_offset, Offset{2});
    EXPECT_EQ(logs.of(k_group).counters().refused_sequences, 3u);
  });
  EXPECT_TRUE(run);
}

TEST(Idempotence, ARefusedAppendLeavesTheSequenceWhereItWas) {
  LogStory story(1);
  const auto run = story.run([&](LogStory::Logs& logs) -> Task<void> {
    co_await create(story, logs);
    EXPECT_EQ(co_await send(logs, {7, 0, 0}), "new at 0");
    story.disk().faults().fail(
        {.matches = on(Verb::allocate), .error = ENOSPC, .times = SimFaults::k_forever});
    EXPECT_EQ(co_await send(logs, {7, 0, 1}, 200'000), "disk_full");
    EXPECT_EQ(co_await send(logs, {7, 0, 0}), "known at 0")
        << "what was done is answered on a full disk, too";
    story.disk().faults().clear();
    EXPECT_EQ(co_await send(logs, {7, 0, 1}, 200'000), "new at 1");
  });
  EXPECT_TRUE(run);
}

// Where a restart learns of the producers from.
struct Restart {
  const char* name;
  std::uint32_t size;  // of the records
  LogStory::End end;
  int restarts;  // the last of which finds what is checked
};
class IdempotenceAfterRestart : public testing::TestWithParam<Restart> {};

TEST_P(IdempotenceAfterRestart, TheLastFiveBatchesAreKnown) {
  LogStory story(1);
  const Restart& restart = GetParam();
  const auto written = story.run(
      [&](LogStory::Logs& logs) -> Task<void> {
        co_await create(story, logs);
        for (std::int32_t i = 0; i < 8; ++i)
          EXPECT_EQ(co_await send(logs, {7, 2, i}, restart.size), fmt::format("new at {}", i));
        EXPECT_EQ(logs.of(k_group).counters().direct_extents > 0, restart.size >= k_direct_size_min);
      },
      restart.end);
  ASSERT_TRUE(written);
  for (int i = 1; i < restart.restarts; ++i)
    ASSERT_TRUE(story.run([](LogStory::Logs&) -> Task<void> { co_return; }, restart.end));
  const auto found = story.run([&](LogStory::Logs& logs) -> Task<void> {
    for (std::int32_t i = 3; i < 8; ++i)
      EXPECT_EQ(co_await send(logs, {7, 2, i}, restart.size), fmt::format("known at {}", i));
    EXPECT_EQ(co_await send(logs, {7, 2, 9}, restart.size), "out_of_order_sequence");
    EXPECT_EQ(co_await send(logs, {7, 1, 0}, restart.size), "producer_fenced");
    EXPECT_EQ(co_await send(logs, {7, 2, 8}, restart.size), "new at 8");
  });
  EXPECT_TRUE(found);
}
INSTANTIATE_TEST_SUITE_P(From, IdempotenceAfterRestart,
                         testing::Values(Restart{"JournalAlone", 100, LogStory::End::abandoned, 1},
                                         Restart{"DirectExtents", 100'000, LogStory::End::abandoned, 1},
                                         Restart{"CheckpointOfACleanStop", 100, LogStory::End::clean, 1},
                                         Restart{"CheckpointOfAStart", 100, LogStory::End::abandoned, 2},
                                         Restart{"CheckpointOfAStartAfterDirectExtents", 100'000,
                                                 LogStory::End::abandoned, 2}),
                         [](const testing::TestParamInfo<Restart>& info) { return info.param.name; });

// The journal has gone round, so what it said of the first batches is gone; a checkpoint has it.
TEST(Idempotence, ACheckpointUnderLoadHoldsTheProducersOfAllGroups) {
  LogStory story(1);
  constexpr std::uint64_t k_groups = 4;
  const auto written = story.run(
      [&](LogStory::Logs& logs) -> Task<void> {
        for (std::uint64_t g = 1; g <= k_groups; ++g) {
          co_await create(story, logs, GroupId{g});
          for (std::int64_t id = 1; id <= k_producers_max; ++id) {
            EXPECT_EQ(co_await send(logs, {id, 0, 0}, 100, GroupId{g}), fmt::format("new at {}", id - 1));
          }
        }
        co_await create(story, logs, GroupId{9});
        while (logs.of(k_group).counters().checkpoints < 3) {
          const auto filler = co_await story.append(logs, GroupId{9}, 20'000);
          if (!filler) co_return;
        }
      },
      LogStory::End::abandoned);
  ASSERT_TRUE(written);
  const auto found = story.run([&](LogStory::Logs& logs) -> Task<void> {
    for (std::uint64_t g = 1; g <= k_groups; ++g) {
      for (std::int64_t id = 1; id <= k_producers_max; ++id) {
        EXPECT_EQ(co_await send(logs, {id, 0, 0}, 100, GroupId{g}), fmt::format("known at {}", id - 1));
      }
    }
  });
  EXPECT_TRUE(found);
}

// The checkpoint's state ends with a batch that stands in the journal behind the checkpoint's beginning, and
// the four before it stand in front of it.
TEST(Idempotence, ACheckpointWhileAProducerSendsHoldsItsLastFiveBatches) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    LogStory story(seed);
    std::int32_t sent = 0;
    const auto written = story.run(
        [&](LogStory::Logs& logs) -> Task<void> {
          co_await create(story, logs);
          co_await create(story, logs, GroupId{9});
          const LogCounters& counters = logs.of(k_group).counters();
          const auto fill = [](LogStory& s, LogStory::Logs& l, const LogCounters& c) -> Task<void> {
            while (c.checkpoints < 2) {
              if (!co_await s.append(l, GroupId{9}, 20'000)) co_return;
            }
          };
          Gate gate(logs.reactor);
          for (int i = 0; i < 4; ++i) gate.spawn(fill(story, logs, counters));
          while (counters.checkpoints < 2) {
            EXPECT_EQ(co_await send(logs, {7, 0, sent}), fmt::format("new at {}", sent));
            ++sent;
          }
          co_await gate.close();
        },
        LogStory::End::abandoned);
    ASSERT_TRUE(written);
    const auto found = story.run([&](LogStory::Logs& logs) -> Task<void> {
      for (std::int32_t i = sent - 5; i < sent; ++i)
        EXPECT_EQ(co_await send(logs, {7, 0, i}), fmt::format("known at {}", i));
    });
    ASSERT_TRUE(found);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

TEST(Idempotence, TheProducerThatIsSilentForLongestIsForgottenForANewOne) {
  LogStory story(1);
  const auto run = story.run([&](LogStory::Logs& logs) -> Task<void> {
    co_await create(story, logs);
    for (std::int64_t id = 1; id <= k_producers_max + 1; ++id) {
      EXPECT_EQ(co_await send(logs, {id, 0, 0}), fmt::format("new at {}", id - 1));
    }
    EXPECT_EQ(co_await send(logs, {1, 0, 1}), "unknown_producer");
    EXPECT_EQ(co_await send(logs, {2, 0, 1}), fmt::format("new at {}", k_producers_max + 1));
  });
  EXPECT_TRUE(run);
}

TEST(Idempotence, WhatWasCutOffCanBeSentAgain) {
  for (const std::uint32_t size : {100u, 100'000u}) {
    LogStory story(1);
    const auto run = story.run(
        [&](LogStory::Logs& logs) -> Task<void> {
          co_await create(story, logs);
          for (std::int32_t i = 0; i < 4; ++i) co_await send(logs, {7, 0, i}, size);
          const LogView view = *logs.of(k_group).view(k_group);
          EXPECT_TRUE(co_await story.truncate(logs, k_group, view.end.last_index - 2));
          EXPECT_EQ(co_await send(logs, {7, 0, 1}, size), "known at 1");
          EXPECT_EQ(co_await send(logs, {7, 0, 3}, size), "out_of_order_sequence");
          EXPECT_EQ(co_await send(logs, {7, 0, 2}, size), "new at 2");
        },
        LogStory::End::abandoned);
    EXPECT_TRUE(run);
    const auto again = story.run([&](LogStory::Logs& logs) -> Task<void> {
      EXPECT_EQ(co_await send(logs, {7, 0, 1}, size), "known at 1");
      EXPECT_EQ(co_await send(logs, {7, 0, 2}, size), "known at 2");
      EXPECT_EQ(co_await send(logs, {7, 0, 3}, size), "new at 3");
    });
    EXPECT_TRUE(again);
  }
}

}  // namespace
}  // namespace millrace::test
