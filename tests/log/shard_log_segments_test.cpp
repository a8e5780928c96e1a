// What becomes of a log's segments: rolled, sealed, retained, trimmed, cut off and deleted.
#include <cerrno>
#include <gtest/gtest.h>

#include "engine/log/segment_format.h"
#include "engine/log/shard_log.h"
#include "engine/log/verify.h"
#include "engine/reactor/wait.h"
#include "tests/log/log_story.h"

namespace millrace::test {
namespace {

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

// The story: 1. a restart knows no sizes of sealed segments; 2. one of them cannot be read, and the sum of
// sizes is that of those before it; 3. some of it are too old, and on the way the others are read after
// all; 4. what was never added must not be taken off, or everything left looks like too much.
TEST(ShardLog, ASegmentThatCouldNotBeReadAtFirstDoesNotTrimWhatIsNeitherTooOldNorTooMuch) {
  LogStory story(78);
  story.settings.segment_size = k_segment_size_min;
  std::int64_t first_young = 0;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 6; ++i) expect_ok(co_await story.append(logs, k_group, 50'000));
    co_await logs.reactor.sleep(std::chrono::seconds(10));
    first_young = logs.of(k_group).view(k_group)->end.next_offset.value();
    for (int i = 0; i < 6; ++i) expect_ok(co_await story.append(logs, k_group, 50'000));
    expect_ok(co_await story.append(logs, k_group, 100));
  }));
  LogSettings& settings = story.groups[k_group].settings;
  settings.retention_age = std::chrono::seconds(5);
  settings.retention_bytes = 64_MiB;
  std::uint64_t third = 0;
  for (const auto& [offset, index] : story.groups[k_group].indexes) {
    if (offset == 2) third = index;
  }
  story.disk().faults().fail(
      {.matches = on(Verb::open, DataFolder("data").segment(k_group, Index{third})), .error = EIO});
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    co_await logs.reactor.sleep(std::chrono::milliseconds(100));
    EXPECT_EQ(story.disk().faults().hits(), 1U);
    const std::int64_t start = logs.of(k_group).view(k_group)->start.offset.value();
    EXPECT_GT(start, 0);
    EXPECT_LE(start, first_young);
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
