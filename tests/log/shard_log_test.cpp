// One node's log, verb by verb.
#include "engine/log/shard_log.h"

#include <gtest/gtest.h>

#include "engine/base/endian.h"
#include "engine/base/entry_header.h"
#include "engine/log/data_folder.h"
#include "engine/log/segment_format.h"
#include "engine/log/verify.h"
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

// Leaves the log little memory, so that the mover finds none.
class Pinched {
 public:
  explicit Pinched(BufferPool& pool) : pool_(pool) {}
  // About so much is left now.
  void leave(std::uint64_t bytes) {
    while (auto more = pool_.acquire(k_step)) held_.push_back(*std::move(more));
    for (std::uint64_t given = 0; given < bytes && !held_.empty(); given += k_step) held_.pop_back();
  }
  void let_go() { held_.clear(); }

 private:
  static constexpr std::uint32_t k_step = 64u << 10;
  BufferPool& pool_;
  std::vector<Buffer> held_;
};

// Entries of sixty segments wait for their places, and then all of them go in one commit.
TEST(ShardLog, ManySmallSegmentsFindRoomForTheirExtentsInOneCommit) {
  SimOptions options;
  options.buffers = {.bytes_max = 24_MiB, .idle_bytes_max = 1_MiB};
  LogStory story(75, options);
  story.node_options.journal_file_size = 4_MiB;
  story.log_options.unplaced_bytes_max = 16_MiB;
  story.log_options.cache_bytes = 16_MiB;
  story.settings.segment_size = k_segment_size_min;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    Pinched memory(logs.reactor.buffers());
    for (int i = 0; i < 60; ++i) {
      memory.leave(192_KiB);
      expect_ok(co_await story.append(logs, k_group, 50'000));
    }
    EXPECT_LT(logs.of(k_group).counters().moved_extents, 10U);
    memory.let_go();
    expect_ok(co_await story.append(logs, k_group, 100'000));
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

// Nothing can be moved, so the ring fills; what comes then is small, but there is much of it.
TEST(ShardLog, SmallRecordsLeaveTheRoomThatACheckpointNeeds) {
  SimOptions options;
  options.buffers = {.bytes_max = 48_MiB, .idle_bytes_max = 1_MiB};
  LogStory story(76, options);
  story.log_options.unplaced_bytes_max = 32_MiB;
  story.log_options.cache_bytes = 32_MiB;
  constexpr std::uint64_t k_new_groups = 60;
  std::uint64_t created = 0;
  expect_ok(story.run(
      [&](LogStory::Logs& logs) -> Task<void> {
        expect_ok(co_await story.create(logs, k_group));
        Pinched memory(logs.reactor.buffers());
        const LogCounters& counters = logs.of(k_group).counters();
        for (int i = 0; i < 150; ++i) {
          memory.leave(192_KiB);
          expect_ok(co_await story.append(logs, k_group, 50'000, AckLevel::leader));
          co_await logs.reactor.sleep(std::chrono::milliseconds(1));
        }
        EXPECT_EQ(counters.checkpoints, 0U) << "the ring was to be full";
        logs.reactor.spawn([](LogStory& s, LogStory::Logs& l, std::uint64_t& count) -> Task<void> {
          for (std::uint64_t g = 2; g < 2 + k_new_groups; ++g) {
            expect_ok(co_await s.create(l, GroupId{g}));
            ++count;
          }
        }(story, logs, created));
        for (int i = 0; i < 200; ++i) {
          memory.leave(192_KiB);
          co_await logs.reactor.sleep(std::chrono::milliseconds(1));
        }
        memory.let_go();
        co_await logs.reactor.sleep(std::chrono::seconds(5));
        EXPECT_GT(counters.checkpoints, 0U);
        EXPECT_EQ(created, k_new_groups);
      },
      LogStory::End::abandoned));
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

// How many segments of the group the disk has, and how many of them have a footer.
struct Footers {
  std::size_t segments = 0, sealed = 0;
};
Footers footers_of(LogStory& story, GroupId group) {
  Footers found;
  const DataFolder folder("data");
  for (std::uint64_t first = 1; first <= story.groups[group].indexes.rbegin()->second; ++first) {
    const auto bytes = story.disk().read_file(folder.segment(group, Index{first}));
    if (!bytes) continue;
    ++found.segments;
    const auto trailer = std::as_bytes(std::span(*bytes)).last(k_footer_trailer_size);
    if (footer_position(trailer, bytes->size())) ++found.sealed;
  }
  return found;
}

TEST(ShardLog, ARolledSegmentIsSealedBeforeRetentionComes) {
  LogStory story(71);
  story.log_options.retention_interval = std::chrono::hours(1);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 40; ++i) expect_ok(co_await story.append(logs, k_group, 30'000));
    co_await logs.reactor.sleep(std::chrono::milliseconds(10));
    EXPECT_GE(logs.of(k_group).counters().segments_sealed, 2U);
    const Footers found = footers_of(story, k_group);
    // The last one's predecessor may not be in its place yet.
    EXPECT_GE(found.sealed + 2, found.segments);
  }));
}

TEST(ShardLog, ACleanStopSealsWhatWasRolled) {
  LogStory story(72);
  story.log_options.retention_interval = std::chrono::hours(1);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 40; ++i) expect_ok(co_await story.append(logs, k_group, 30'000));
  }));
  const Footers found = footers_of(story, k_group);
  EXPECT_GT(found.segments, 3U);
  EXPECT_EQ(found.sealed + 1, found.segments);
  story.expect_everything();
}

// Many readers ask for the same segment, which has no footer.
TEST(ShardLog, ASegmentWithoutAFooterIsScannedOnce) {
  LogStory story(73);
  story.settings.segment_size = 8_MiB;
  expect_ok(story.run(
      [&](LogStory::Logs& logs) -> Task<void> {
        expect_ok(co_await story.create(logs, k_group));
        for (int i = 0; i < 60; ++i) expect_ok(co_await story.append(logs, k_group, 100'000));
      },
      LogStory::End::abandoned));
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    std::uint64_t read = 0;
    story.disk().faults().fail({.matches = [&](const SimAccess& access) {
      if (access.verb == Verb::read && access.path.contains(".segment")) read += access.length;
      return false;
    }});
    Gate gate(logs.reactor);
    for (int i = 0; i < 8; ++i) {
      gate.spawn([](LogStory::Logs& from, int at) -> Task<void> {
        expect_ok(co_await from.of(k_group).read(k_group, Offset{at}, 100));
      }(logs, i));
    }
    co_await gate.close();
    // 6 MiB for the scan, and 1 MiB for each reader; scanned by each, it would be more than 50.
    EXPECT_LT(read, 20_MiB);
    story.disk().faults().clear();
  }));
}

TEST(ShardLog, ASegmentIsAsOldAfterARestartAsItWasBefore) {
  LogStory story(77);
  story.log_options.retention_interval = std::chrono::seconds(1);
  story.settings.segment_age = std::chrono::minutes(1);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    expect_ok(co_await story.append(logs, k_group, 1000));
  }));
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    co_await logs.reactor.sleep(std::chrono::seconds(3));
    EXPECT_EQ(logs.of(k_group).size(k_group)->segments, 1U);
    co_await logs.reactor.sleep(std::chrono::minutes(1));
    EXPECT_EQ(logs.of(k_group).size(k_group)->segments, 2U);
  }));
}

TEST(ShardLog, RetentionBySizeKeepsTheNewest) {
  LogStory story(8);
  story.settings.retention_bytes = 1_MiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 300; ++i) expect_ok(co_await story.append(logs, k_group, 10'000));
    co_await logs.reactor.sleep(std::chrono::milliseconds(200));
    const LogView view = *logs.of(k_group).view(k_group);
    EXPECT_GT(view.start.offset.value(), 100);
    const LogSize size = *logs.of(k_group).size(k_group);
    EXPECT_LE(size.bytes, 1_MiB + 2 * story.settings.segment_size);
    EXPECT_GE(size.bytes, 1_MiB);
    EXPECT_GT(logs.of(k_group).counters().segments_removed, 3U);
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

TEST(ShardLog, RetentionByAgeGoesByTheServersClock) {
  LogStory story(9);
  story.settings.retention_age = std::chrono::seconds(10);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 100; ++i) expect_ok(co_await story.append(logs, k_group, 10'000));
    co_await logs.reactor.sleep(std::chrono::seconds(9));
    EXPECT_EQ(logs.of(k_group).view(k_group)->start.offset, Offset{0});
    co_await logs.reactor.sleep(std::chrono::seconds(2));
    EXPECT_GT(logs.of(k_group).view(k_group)->start.offset, Offset{0});
  }));
}

TEST(ShardLog, ACutSuffixIsGoneAndAppendsGoOn) {
  for (const std::uint64_t last : {0U, 1U, 5U, 17U, 40U}) {
    LogStory story(10 + last);
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
      expect_ok(co_await story.create(logs, k_group));
      for (int i = 0; i < 40; ++i)
        expect_ok(co_await story.append(logs, k_group, i % 7 == 0 ? 100'000 : 5'000));
      expect_ok(co_await story.truncate(logs, k_group, Index{last}));
      co_await story.expect_groups(logs);
      for (int i = 0; i < 10; ++i)
        expect_ok(co_await story.append(logs, k_group, i % 3 == 0 ? 100'000 : 5'000));
      co_await story.expect_groups(logs);
    }));
    story.expect_everything();
  }
}

// The cut entries are in a block of the cache that waits for their places.
TEST(ShardLog, AfterACutTheCacheLetsItsEntriesGo) {
  LogStory story(79);
  story.log_options.cache_bytes = 256_KiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    expect_ok(co_await story.create(logs, GroupId{2}));
    for (int i = 0; i < 4; ++i) expect_ok(co_await story.append(logs, k_group, 1000));
    expect_ok(co_await story.truncate(logs, k_group, logs.of(k_group).view(k_group)->end.last_index - 2));
    for (int i = 0; i < 100; ++i) expect_ok(co_await story.append(logs, GroupId{2}, 30'000));
    const LogCounters& counters = logs.of(k_group).counters();
    const std::uint64_t before = counters.reads_memory;
    expect_ok(co_await logs.of(k_group).read(GroupId{2}, Offset{0}, 100));
    EXPECT_EQ(counters.reads_memory, before) << "it should have left memory long ago";
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

TEST(ShardLog, ADeletedGroupIsGoneForGood) {
  LogStory story(60);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    for (std::uint64_t g = 1; g <= 2; ++g) expect_ok(co_await story.create(logs, GroupId{g}));
    for (int i = 0; i < 50; ++i) {
      for (std::uint64_t g = 1; g <= 2; ++g) expect_ok(co_await story.append(logs, GroupId{g}, 8'000));
    }
    expect_ok(co_await story.remove(logs, k_group));
    EXPECT_EQ((co_await logs.of(k_group).read(k_group, Offset{0}, 100)).error().code, ErrorCode::not_found);
    for (int i = 0; i < 50; ++i) expect_ok(co_await story.append(logs, GroupId{2}, 8'000));
  }));
  EXPECT_EQ(story
                .run([&](LogStory::Logs& logs) -> Task<void> {
                  EXPECT_FALSE(logs.of(k_group).contains(k_group));
                  co_await story.expect_groups(logs);
                })
                .has_value(),
            true);
}

TEST(ShardLog, ADeletedGroupGivesItsSpaceBackThoughItsEntriesAreInTheCache) {
  LogStory story(75);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    const std::uint64_t before = story.disk().used();
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 20; ++i) expect_ok(co_await story.append(logs, k_group, 20'000));
    expect_ok(co_await story.remove(logs, k_group));
    co_await logs.reactor.sleep(std::chrono::milliseconds(1));
    EXPECT_LT(story.disk().used(), before + 128_KiB);
  }));
}

TEST(ShardLog, AGroupIsDeletedWhileRetentionRemovesItsSegments) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    LogStory story(seed);
    story.settings.segment_size = k_segment_size_min;
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
      expect_ok(co_await story.create(logs, k_group));
      for (int i = 0; i < 20; ++i) expect_ok(co_await story.append(logs, k_group, 60'000));
      expect_ok(co_await story.trim(logs, k_group, logs.of(k_group).view(k_group)->end.next_offset));
      // Until the first segment goes.
      const std::uint64_t before = logs.of(k_group).counters().segments_removed;
      while (logs.of(k_group).counters().segments_removed == before) {
        co_await logs.reactor.sleep(std::chrono::microseconds(10));
      }
      expect_ok(co_await story.remove(logs, k_group));
    }));
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

// The segment in which a clean start goes on is known from its file as it was at the start, and from the
// extents that were added since. Sealing it before anybody has read from it must keep both.
TEST(ShardLog, ASegmentThatASecondStartWentOnInIsSealedWhole) {
  LogStory story(70);
  story.settings.segment_size = 4 * k_segment_size_min;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 3; ++i) expect_ok(co_await story.append(logs, k_group, 1000));
  }));
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    for (int i = 0; i < 40; ++i) expect_ok(co_await story.append(logs, k_group, 20'000));
    while (logs.of(k_group).counters().segments_sealed < 2)
      co_await logs.reactor.sleep(std::chrono::milliseconds(1));
    co_await story.expect_groups(logs);
  }));
  EXPECT_TRUE(story.found_clean());
  story.expect_everything();
}

// After an unclean start the segment before the one that is open is closed by its neighbour's header, which
// nobody has read yet.
TEST(ShardLog, ASegmentThatACrashClosedIsSealedWithItsEnd) {
  LogStory story(71);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 10; ++i) expect_ok(co_await story.append(logs, k_group, 5000));
  }));
  for (int i = 0; i < 2; ++i) {
    story.run_until_cut(
        [&](LogStory::Logs& logs) -> Task<void> {
          while (co_await story.append(logs, k_group, 5000)) {
          }
        },
        1000);
  }
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    while (logs.of(k_group).counters().segments_sealed == 0)
      co_await logs.reactor.sleep(std::chrono::milliseconds(1));
  }));
  story.node().start(1, [](Reactor& reactor) -> Task<void> {
    const auto report = co_await verify_folder(reactor, "data");
    expect_ok(report);
    if (!report) co_return;
    for (const Finding& finding : report->findings) ADD_FAILURE() << finding.file << ": " << finding.meaning;
  });
  EXPECT_EQ(story.world().run_until([&] { return !story.node().running(); }), SimEnd::reached);
  story.expect_everything();
}

// Retention opens every segment once; a reader in the middle of another one has its own file.
TEST(ShardLog, AReaderGoesOnWhileManyOtherSegmentsAreOpened) {
  LogStory story(72);
  story.settings.segment_size = k_segment_size_min;
  story.log_options.cache_bytes = 64_KiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 600; ++i) expect_ok(co_await story.append(logs, k_group, 20'000));
  }));
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    ShardLog& log = logs.of(k_group);
    Offset from{0};
    for (int i = 0; i < 4; ++i) {
      const auto read = co_await log.read(k_group, from, 25'000);
      expect_ok(read);
      from = read->next_offset;
      // Looks into every segment from the end on.
      for (std::int64_t offset = 590; offset > 100; offset -= 3)
        expect_ok(co_await log.read(k_group, Offset{offset}, 1));
    }
    EXPECT_EQ(from, Offset{4});
  }));
}

TEST(ShardLog, ATrimmedSegmentGivesItsSpaceBackWhileItWasBeingRead) {
  LogStory story(73);
  story.settings.segment_size = k_segment_size_min;
  story.log_options.cache_bytes = 64_KiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    ShardLog& log = logs.of(k_group);
    for (int i = 0; i < 100; ++i) expect_ok(co_await story.append(logs, k_group, 20'000));
    for (std::int64_t offset = 0; offset < 80; ++offset)
      expect_ok(co_await log.read(k_group, Offset{offset}, 1));
    const std::uint64_t before = story.disk().used();
    expect_ok(co_await story.trim(logs, k_group, Offset{90}));
    while (log.counters().segments_removed < 20) co_await logs.reactor.sleep(std::chrono::milliseconds(1));
    co_await logs.reactor.sleep(std::chrono::seconds(1));
    EXPECT_LT(story.disk().used() + 1'000'000, before);
  }));
  story.expect_everything();
}

TEST(ShardLog, ASegmentWhoseFolderCannotBeSyncedEndsTheLog) {
  LogStory story(74);
  story.settings.segment_size = k_segment_size_min;
  const auto ended = story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    story.disk().faults().fail({.matches = on(Verb::sync_folder, "groups/"), .error = 5});
    bool refused = false;
    for (int i = 0; i < 20 && !refused; ++i) refused = !co_await story.append(logs, k_group, 20'000);
    EXPECT_TRUE(refused);
    EXPECT_EQ((co_await logs.of(k_group).failed()).code, ErrorCode::sync_failed);
  });
  EXPECT_FALSE(ended.has_value());
  story.disk().faults().clear();
  story.expect_everything();
}

TEST(ShardLog, AGroupIsCutWhileRetentionSealsItsSegments) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    LogStory story(seed);
    story.settings.segment_size = k_segment_size_min;
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
      expect_ok(co_await story.create(logs, k_group));
      for (int round = 0; round < 5; ++round) {
        const std::uint64_t before = logs.of(k_group).counters().segments_sealed;
        for (int i = 0; i < 10; ++i) expect_ok(co_await story.append(logs, k_group, 60'000));
        while (logs.of(k_group).counters().segments_sealed == before) {
          co_await logs.reactor.sleep(std::chrono::microseconds(10));
        }
        const auto& indexes = story.groups[k_group].indexes;
        expect_ok(co_await story.truncate(logs, k_group, Index{indexes.rbegin()->second - 8}));
        co_await story.expect_groups(logs);
      }
    }));
    story.expect_everything();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

TEST(ShardLog, AppendsWaitWhileMemoryIsShort) {
  SimOptions options;
  options.buffers = {.bytes_max = 4_MiB, .idle_bytes_max = 1_MiB};
  LogStory story(65, options);
  story.log_options.unplaced_bytes_max = 1_MiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    for (std::uint64_t g = 1; g <= 4; ++g) expect_ok(co_await story.create(logs, GroupId{g}));
    Gate gate(logs.reactor);
    const auto worker = [](LogStory& s, LogStory::Logs& l, std::uint64_t g) -> Task<void> {
      // Copied into extents: every append takes memory twice for a while.
      for (int i = 0; i < 30; ++i) expect_ok(co_await s.append(l, GroupId{g}, 99'999));
    };
    for (std::uint64_t g = 1; g <= 16; ++g) gate.spawn(worker(story, logs, 1 + g % 4));
    co_await gate.close();
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

// It found no memory for the commit that would have freed some, and everything stood still for ever.
TEST(ShardLog, APoolFullOfWhatWaitsForTheDiskIsWritten) {
  SimOptions options;
  options.buffers = {.bytes_max = 12_MiB, .idle_bytes_max = 1_MiB, .reserve_bytes = 6_MiB};
  LogStory story(68, options);
  story.log_options.unplaced_bytes_max = 64_MiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    BufferPool& pool = logs.reactor.buffers();
    for (std::uint64_t g = 1; g <= 4; ++g) expect_ok(co_await story.create(logs, GroupId{g}));
    const auto append = [](LogStory::Logs& there, std::uint64_t group, Slice batch,
                           AckLevel level) -> Task<void> {
      expect_ok(co_await there.of(GroupId{group}).append(GroupId{group}, std::move(batch), 1, level));
    };
    Slice last = make_batch(pool, 0, 1000, false);
    Gate gate(logs.reactor);
    for (std::uint64_t i = 0; pool.acquire(256_KiB); ++i)
      gate.spawn(append(logs, 1 + i % 4, make_batch(pool, i, 50'000, true), AckLevel::leader));
    std::vector<Buffer> rest;
    while (auto buffer = pool.acquire(k_block_size)) rest.push_back(*std::move(buffer));
    gate.spawn(append(logs, 1, std::move(last), AckLevel::durable));
    co_await gate.close();
  }));
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

TEST(ShardLog, OffsetsAreFoundByTimestamp) {
  LogStory story(63);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    ShardLog& log = logs.of(k_group);
    for (std::uint64_t i = 0; i < 100; ++i) {
      expect_ok(co_await log.append(
          k_group,
          make_batch(logs.reactor.buffers(), i, 10'000, false, static_cast<std::int64_t>(1000 + 10 * i)), 1,
          AckLevel::durable));
    }
    const auto first = co_await log.offset_for_timestamp(k_group, 0);
    EXPECT_EQ(first->offset, Offset{0});
    const auto middle = co_await log.offset_for_timestamp(k_group, 1501);
    EXPECT_EQ(middle->offset, Offset{51});
    EXPECT_EQ(middle->timestamp, 1510);
    const auto beyond = co_await log.offset_for_timestamp(k_group, 5000);
    EXPECT_EQ(beyond->offset, Offset{100});
    EXPECT_EQ(beyond->timestamp, -1);
  }));
}

// A batch whose header says that its records are of the far future.
Slice batch_with_a_false_header(BufferPool& pool, std::uint64_t id) {
  Slice batch = make_batch(pool, id, 10'000, false);
  store_be<std::int64_t>(batch.buffer.data() + batch.offset + 35, std::int64_t{1} << 50);
  return batch;
}

// It made every search for a timestamp that is not there read all that came behind it.
TEST(ShardLog, AFalseMaxTimestampCostsASearchNoMoreThanItsPartOfTheIndex) {
  LogStory story(67);
  story.log_options.cache_bytes = 0;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    ShardLog& log = logs.of(k_group);
    for (std::uint64_t i = 0; i < 300; ++i) {
      Slice batch = i == 40 ? batch_with_a_false_header(logs.reactor.buffers(), i)
                            : make_batch(logs.reactor.buffers(), i, 10'000, false, 1000);
      expect_ok(co_await log.append(k_group, std::move(batch), 1, AckLevel::durable));
    }
    static_cast<void>(co_await logs.reactor.sleep(std::chrono::seconds(5)));
    const std::uint64_t before = log.counters().read_bytes_cold + log.counters().read_bytes_memory;
    const auto beyond = co_await log.offset_for_timestamp(k_group, 5000);
    EXPECT_EQ(beyond->offset, Offset{300});
    EXPECT_EQ(beyond->timestamp, -1);
    EXPECT_LT(log.counters().read_bytes_cold + log.counters().read_bytes_memory - before, 1_MiB);
    EXPECT_EQ((co_await log.offset_for_timestamp(k_group, 1000))->offset, Offset{0});
  }));
}

TEST(ShardLog, ASearchByTimestampLeavesTheSegmentsBeforeItsBeginningAlone) {
  LogStory story(78);
  story.log_options.retention_interval = std::chrono::hours(1);
  story.settings.segment_size = k_segment_size_min;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 64; ++i) expect_ok(co_await story.append(logs, k_group, 60'000));
  }));
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    int opened = 0;
    story.disk().faults().fail({.matches = [&](const SimAccess& access) {
      if (access.verb == Verb::open && access.path.contains(".segment")) ++opened;
      return false;
    }});
    expect_ok(co_await logs.of(k_group).offset_for_timestamp(k_group, 2, Offset{60}));
    EXPECT_LT(opened, 16);
    story.disk().faults().clear();
  }));
}

TEST(ShardLog, ASearchByTimestampStopsInTimeAndGoesOnWhereItWas) {
  LogStory story(68);
  story.log_options.cache_bytes = 0;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    ShardLog& log = logs.of(k_group);
    for (std::uint64_t i = 0; i < 300; ++i) {
      expect_ok(co_await log.append(k_group, batch_with_a_false_header(logs.reactor.buffers(), i), 1,
                                    AckLevel::durable));
    }
    expect_ok(co_await log.append(k_group, make_batch(logs.reactor.buffers(), 300, 100, false, 2000), 1,
                                  AckLevel::durable));
    int rounds = 1;
    auto found = co_await log.offset_for_timestamp(k_group, 2000, Offset{0}, logs.reactor.now());
    for (; found && !found->complete && rounds < 1000; ++rounds) {
      const Offset from = found->offset;
      found = co_await log.offset_for_timestamp(k_group, 2000, from, logs.reactor.now());
      EXPECT_GT(found->offset, from);
    }
    EXPECT_GT(rounds, 2);
    EXPECT_EQ(found->offset, Offset{300});
    EXPECT_EQ(found->timestamp, 2000);
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

// The story: 1. after a restart no file of a segment is open; 2. a trim removes files; 3. another trim, a
// read and a search by time are on their way to them; 4. they look again at what is left.
TEST(ShardLog, NobodyIsToldOfAFileThatATrimTookFromUnderHim) {
  const auto goes_well = [](const auto& result) {
    EXPECT_TRUE(result || result.error().code == ErrorCode::offset_out_of_range) << result.error().message;
  };
  const auto look = [&](LogStory::Logs& logs, Duration after, int what, std::int64_t at) -> Task<void> {
    static_cast<void>(co_await logs.reactor.sleep(after));
    ShardLog& log = logs.of(k_group);
    if (what == 0) goes_well(co_await log.trim(k_group, Offset{at}));
    if (what == 1) goes_well(co_await log.read(k_group, Offset{at}, 1));
    if (what == 2) goes_well(co_await log.offset_for_timestamp(k_group, 2));
  };
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    LogStory story(seed);
    SimRandom& random = story.world().random();
    story.settings.segment_size = 64_KiB;
    story.log_options.cache_bytes = 64_KiB;
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
      expect_ok(co_await story.create(logs, k_group));
      for (int i = 0; i < 40; ++i) expect_ok(co_await story.append(logs, k_group, 50'000));
    }));
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
      Gate gate(logs.reactor);
      gate.spawn(look(logs, Duration::zero(), 0, 20));
      for (int i = 0; i < 60; ++i) {
        const auto after = std::chrono::microseconds(random.below(10'000));
        gate.spawn(look(logs, after, static_cast<int>(random.below(3)),
                        static_cast<std::int64_t>(random.below(40))));
      }
      co_await gate.close();
    }));
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace millrace::test
