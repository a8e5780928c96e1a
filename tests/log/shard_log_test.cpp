// One node's log, verb by verb: appends, commits, reads and shards.
#include "engine/log/shard_log.h"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>

#include "engine/log/segment_format.h"
#include "engine/reactor/wait.h"
#include "tests/log/log_story.h"

namespace millrace::test {
namespace {

TEST(ShardLog, AppendedRecordsAreReadBackInOrder) {
  LogStory story(1);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 100; ++i) expect_ok(co_await story.append(logs, k_group, 100));
    co_await story.expect_groups(logs);
  }));
  EXPECT_EQ(story.groups[k_group].acknowledged.size(), 100U);
}

TEST(ShardLog, RecordsOfEverySizeSurviveACleanRestart) {
  LogStory story(2);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (const std::uint32_t size :
         {8U, 100U, 4096U, 65'000U, 65'536U, 70'000U, 200'000U, 100U, 1'000'000U, 9U}) {
      expect_ok(co_await story.append(logs, k_group, size));
      expect_ok(co_await story.append(logs, k_group, size));
    }
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
  EXPECT_TRUE(story.found_clean());
  EXPECT_EQ(story.groups[k_group].acknowledged.size(), 20U);
}

TEST(ShardLog, APayloadInPlaceIsWrittenWithoutACopy) {
  LogStory story(3);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (std::uint64_t id = 1; id <= 4; ++id) {
      story.groups[k_group].attempted[id] = 100'000;
      expect_ok(co_await logs.of(k_group).append(
          k_group, make_batch(logs.reactor.buffers(), id, 100'000, true), 1, AckLevel::durable));
    }
    EXPECT_EQ(logs.of(k_group).counters().direct_bytes_copied, 0U);
    EXPECT_GE(logs.of(k_group).counters().direct_bytes, 400'000U);
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

TEST(ShardLog, ManyAppendsAtOnceShareCommits) {
  LogStory story(4);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    Gate gate(logs.reactor);
    for (int i = 0; i < 1000; ++i) {
      gate.spawn([](LogStory& s, LogStory::Logs& l) -> Task<void> {
        expect_ok(co_await s.append(l, k_group, 100));
      }(story, logs));
    }
    co_await gate.close();
    EXPECT_LT(logs.of(k_group).counters().commits, 50U);
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
  EXPECT_EQ(story.groups[k_group].acknowledged.size(), 1000U);
}

// One group always has more than a commit takes; the other's one record is in one of the next commits.
TEST(ShardLog, LargeBatchesOfOneGroupDoNotHoldUpAnother) {
  for (const std::uint32_t size : {100U, 100'000U}) {
    LogStory story(74);
    story.log_options.unplaced_bytes_max = 64_MiB;
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
      expect_ok(co_await story.create(logs, k_group));
      expect_ok(co_await story.create(logs, GroupId{2}));
      int done = 0;
      Gate gate(logs.reactor);
      for (int i = 0; i < 20; ++i) {
        gate.spawn([](LogStory& s, LogStory::Logs& l, int& count) -> Task<void> {
          expect_ok(co_await s.append(l, k_group, 2_MiB));
          ++count;
        }(story, logs, done));
      }
      co_await logs.reactor.yield();
      expect_ok(co_await story.append(logs, GroupId{2}, size));
      EXPECT_LT(done, 10);
      co_await gate.close();
    }));
    story.expect_everything();
  }
}

TEST(ShardLog, TheJournalGoesRoundAndSegmentsRoll) {
  LogStory story(5);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    for (std::uint64_t g = 1; g <= 3; ++g) expect_ok(co_await story.create(logs, GroupId{g}));
    for (int i = 0; i < 400; ++i) {
      for (std::uint64_t g = 1; g <= 3; ++g) expect_ok(co_await story.append(logs, GroupId{g}, 10'000));
    }
    EXPECT_GT(logs.shards[0]->counters().checkpoints, 1U);
    EXPECT_GT(logs.shards[0]->counters().segments_sealed, 3U);
    EXPECT_GT(logs.shards[0]->counters().moved_bytes, 1_MiB);
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
  EXPECT_TRUE(story.found_clean());
}

TEST(ShardLog, ReadersDoNotSeeWhatIsNotDurable) {
  LogStory story(6);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    expect_ok(co_await story.append(logs, k_group, 100));
    const auto quick = co_await story.append(logs, k_group, 100, AckLevel::leader);
    expect_ok(quick);
    const auto read = co_await logs.of(k_group).read(k_group, quick->base_offset, 1000);
    expect_ok(read);
    EXPECT_TRUE(read->entries.empty());
    expect_ok(co_await logs.of(k_group).wait_readable(k_group, quick->base_offset, 1,
                                                      logs.reactor.now() + std::chrono::seconds(1)));
    const auto later = co_await logs.of(k_group).read(k_group, quick->base_offset, 1000);
    expect_ok(later);
    EXPECT_FALSE(later->entries.empty());
  }));
}

TEST(ShardLog, OffsetsOutsideTheLogAreRefused) {
  LogStory story(7);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 10; ++i) expect_ok(co_await story.append(logs, k_group, 100));
    expect_ok(co_await story.trim(logs, k_group, Offset{4}));
    ShardLog& log = logs.of(k_group);
    EXPECT_EQ((co_await log.read(k_group, Offset{3}, 100)).error().code, ErrorCode::offset_out_of_range);
    EXPECT_EQ((co_await log.read(k_group, Offset{11}, 100)).error().code, ErrorCode::offset_out_of_range);
    EXPECT_EQ((co_await log.trim(k_group, Offset{11})).error().code, ErrorCode::offset_out_of_range);
    EXPECT_EQ((co_await log.read(GroupId{99}, Offset{0}, 100)).error().code, ErrorCode::not_found);
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

// It waited until all the others had gone straight to their segments, 2 MiB a commit.
TEST(ShardLog, ASmallAppendDoesNotWaitForManyLargeOnes) {
  LogStory story(66);
  story.log_options.unplaced_bytes_max = 64_MiB;
  story.settings.segment_size = 4_MiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    constexpr std::uint64_t k_large = 40;
    for (std::uint64_t g = 1; g <= k_large + 1; ++g) expect_ok(co_await story.create(logs, GroupId{g}));
    std::uint64_t done = 0, before_it = 0;
    Gate gate(logs.reactor);
    for (std::uint64_t g = 1; g <= k_large + 1; ++g) {
      gate.spawn([](LogStory::Logs& there, std::uint64_t group, std::uint64_t& count,
                    std::uint64_t& before) -> Task<void> {
        const bool is_small = group > k_large;
        Slice batch = make_batch(there.reactor.buffers(), group, is_small ? 100 : 500'000, !is_small);
        expect_ok(
            co_await there.of(GroupId{group}).append(GroupId{group}, std::move(batch), 1, AckLevel::durable));
        if (is_small) before = count;
        ++count;
      }(logs, g, done, before_it));
    }
    co_await gate.close();
    EXPECT_EQ(done, k_large + 1);
    EXPECT_LE(before_it, 12u);
  }));
}

// Both are served by every commit, but the first takes most of it. It stayed the first.
TEST(ShardLog, TwoGroupsThatAlwaysHaveMoreGetTheSame) {
  constexpr GroupId k_slow{3};
  LogStory story(83);
  story.settings.segment_size = 64_MiB;
  story.log_options.unplaced_bytes_max = 128_MiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    for (std::uint64_t g = 1; g <= 3; ++g) expect_ok(co_await story.create(logs, GroupId{g}));
    std::array<int, 2> done{};
    Gate gate(logs.reactor);
    co_await story.begin_a_slow_commit(logs, gate, k_slow);
    // Four of them are less than what one commit takes.
    for (int i = 0; i < 40; ++i) {
      gate.spawn(story.append_counted(logs, GroupId{1}, 500'000, done[0]));
      gate.spawn(story.append_counted(logs, GroupId{2}, 500'000, done[1]));
    }
    while (std::ranges::max(done) < 40) {
      co_await logs.reactor.sleep(std::chrono::microseconds(10));
      const auto [less, more] = std::ranges::minmax(done);
      EXPECT_LE(more - less, 8);
      if (HasFailure()) break;
    }
    co_await gate.close();
  }));
}

TEST(ShardLog, AFolderOpensWithAnyNumberOfShards) {
  LogStory story(64);
  for (const std::uint32_t shards : {1U, 4U, 1U, 3U, 2U}) {
    story.node_options.shards = shards;
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
      co_await story.expect_groups(logs);
      expect_ok(co_await story.create(logs, GroupId{10 + shards + 100 * story.appended}));
      for (const auto& [group, known] : std::map(story.groups)) {
        for (int i = 0; i < 5; ++i) expect_ok(co_await story.append(logs, group, 20'000));
      }
    }));
  }
  story.node_options.shards = 1;
  story.expect_everything();
}

}  // namespace
}  // namespace millrace::test
