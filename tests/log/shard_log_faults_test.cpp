// One node's log on a disk that fails or is full.
#include <cerrno>
#include <gtest/gtest.h>

#include "engine/log/data_folder.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/wait.h"
#include "tests/log/log_story.h"

namespace millrace::test {
namespace {

TEST(ShardLog, AFullDiskRefusesAppendsAndGoesOnWhenThereIsRoom) {
  LogStory story(61);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    expect_ok(co_await story.append(logs, k_group, 1000));
    story.disk().set_capacity(story.disk().used() + 600'000);
    for (const std::uint32_t size : {50'000U, 1'000U}) {
      ErrorCode refused{};
      for (int i = 0; i < 200 && refused == ErrorCode{}; ++i) {
        auto done = co_await story.append(logs, k_group, size);
        if (!done) refused = done.error().code;
      }
      EXPECT_EQ(refused, ErrorCode::disk_full);
    }
    co_await story.expect_groups(logs);
    // Readers are served, and the log's own entries find room: where the ballast was.
    expect_ok(co_await story.trim(logs, k_group, Offset{1}));
    EXPECT_FALSE(story.disk().read_file("data/ballast").has_value());
    story.disk().set_capacity(16_GiB);
    co_await logs.reactor.sleep(std::chrono::milliseconds(50));
    EXPECT_TRUE(story.disk().read_file("data/ballast").has_value());
    for (int i = 0; i < 10; ++i) expect_ok(co_await story.append(logs, k_group, 50'000));
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

// Several appends find out together that there is room again. The ballast is made once, and those that come
// while it is made are not refused for it.
TEST(ShardLog, AppendsThatMeetWhileTheBallastIsMadeAgainAreTaken) {
  constexpr std::uint64_t k_groups = 4;
  LogStory story(73);
  story.log_options.retention_interval = std::chrono::hours(1);  // appends make it
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    for (std::uint64_t i = 1; i <= k_groups; ++i) expect_ok(co_await story.create(logs, GroupId{i}));
    story.disk().set_capacity(story.disk().used() + 100'000);
    for (const std::uint32_t size : {50'000U, 1'000U}) {
      while (co_await story.append(logs, k_group, size)) continue;
    }
    expect_ok(co_await story.trim(logs, k_group, Offset{1}));
    EXPECT_FALSE(story.disk().read_file("data/ballast").has_value());
    story.disk().set_capacity(16_GiB);
    Gate gate(logs.reactor);
    for (std::uint64_t i = 1; i <= k_groups; ++i) {
      gate.spawn([](LogStory& s, LogStory::Logs& l, GroupId group) -> Task<void> {
        for (int n = 0; n < 5; ++n) expect_ok(co_await s.append(l, group, 500'000));
      }(story, logs, GroupId{i}));
    }
    co_await gate.close();
    EXPECT_TRUE(story.disk().read_file("data/ballast").has_value());
  }));
  story.expect_everything();
}

// The story: 1. a large segment wants to grow by a megabyte, for which there is no room; 2. the file
// system has given it all there was; 3. it must not keep that, nor take the ballast for it: a small group
// finds room for its entries, and the log for its own.
TEST(ShardLog, AStepThatDoesNotFitLeavesItsSpaceToOthers) {
  constexpr GroupId k_other{2};
  LogStory story(67);
  story.settings.segment_size = 8_MiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    expect_ok(co_await story.create(logs, k_other));
    const auto room = [&]() -> Task<std::uint64_t> {
      const auto free = co_await logs.reactor.free_space("data");
      co_return free ? *free : 0;
    };
    // Up to the brink of a step.
    std::uint64_t before = 0;
    do {
      before = story.disk().used();
      while (story.disk().used() == before) expect_ok(co_await story.append(logs, k_group, 20'000));
    } while (story.disk().used() - before < 512_KiB);
    story.disk().set_capacity(story.disk().used() + 400'000);
    while (co_await room() == 400'000 / k_block_size * k_block_size) {
      expect_ok(co_await story.append(logs, k_group, 20'000));
    }
    EXPECT_GT(co_await room(), 300'000U);
    for (int i = 0; i < 8; ++i) expect_ok(co_await story.append(logs, k_other, 20'000));
    expect_ok(co_await story.trim(logs, k_other, Offset{1}));
    EXPECT_TRUE(story.disk().read_file("data/ballast").has_value());
    story.disk().set_capacity(16_GiB);
  }));
  story.expect_everything();
}

// An old segment is due to be followed by a new one, for which there is no space; what would make space comes
// after that.
TEST(ShardLog, RetentionGoesOnWhereAStepFindsNoSpace) {
  LogStory story(67);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 30; ++i) expect_ok(co_await story.append(logs, k_group, 50'000));
    co_await logs.reactor.sleep(std::chrono::milliseconds(50));
    story.disk().set_capacity(story.disk().used());
    LogSettings& settings = story.groups[k_group].settings;
    settings.segment_age = std::chrono::milliseconds(1);
    settings.retention_bytes = 512_KiB;
    expect_ok(logs.of(k_group).configure(k_group, settings));
    co_await logs.reactor.sleep(std::chrono::milliseconds(100));
    EXPECT_GT(logs.of(k_group).view(k_group)->start.offset, Offset{0});
    EXPECT_GT(logs.of(k_group).counters().segments_removed, 0U);
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

TEST(ShardLog, ClientsDoNotEatTheSpaceOfTheBallast) {
  LogStory story(68);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    expect_ok(co_await story.append(logs, k_group, 1000));
    story.disk().set_capacity(story.disk().used() + 300'000);
    const auto fill = [&]() -> Task<void> {
      for (const std::uint32_t size : {50'000u, 5'000u, 100u}) {
        for (bool taken = true; taken;) taken = (co_await story.append(logs, k_group, size)).has_value();
      }
    };
    co_await fill();
    // Each takes some of what is left for the log's own entries.
    for (std::int64_t i = 1; story.disk().read_file("data/ballast").has_value() && i < 50; ++i)
      expect_ok(co_await story.trim(logs, k_group, Offset{i}));
    EXPECT_FALSE(story.disk().read_file("data/ballast").has_value());
    const std::uint64_t used = story.disk().used();
    co_await fill();
    EXPECT_LE(story.disk().used(), used);
    story.disk().set_capacity(16_GiB);
    co_await logs.reactor.sleep(std::chrono::milliseconds(50));
    expect_ok(co_await story.append(logs, k_group, 50'000));
  }));
  story.expect_everything();
}

// Uses up the disk, and then the ballast for the log's own entries.
Task<void> take_all_space(LogStory& story, LogStory::Logs& logs) {
  expect_ok(co_await story.append(logs, k_group, 1000));
  story.disk().set_capacity(story.disk().used() + 300'000);
  for (const std::uint32_t size : {50'000u, 5'000u, 100u}) {
    while (co_await story.append(logs, k_group, size)) continue;
  }
  for (std::int64_t i = 1; story.disk().read_file("data/ballast").has_value() && i < 50; ++i)
    expect_ok(co_await story.trim(logs, k_group, Offset{i}));
  EXPECT_FALSE(story.disk().read_file("data/ballast").has_value());
}

TEST(ShardLog, ClientsDoNotEatTheSpaceOfTheBallastAfterARestart) {
  LogStory story(74);
  story.log_options.ballast_size = story.node_options.ballast_size = 1_MiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    co_await take_all_space(story, logs);
  }));
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    EXPECT_FALSE(story.disk().read_file("data/ballast").has_value());
    const std::uint64_t used = story.disk().used();
    ErrorCode refused{};
    for (int i = 0; i < 20 && refused == ErrorCode{}; ++i) {
      const auto done = co_await story.append(logs, k_group, 50'000);
      if (!done) refused = done.error().code;
    }
    EXPECT_EQ(refused, ErrorCode::disk_full);
    EXPECT_LE(story.disk().used(), used);
    story.disk().set_capacity(16_GiB);
    expect_ok(co_await story.append(logs, k_group, 50'000));
    EXPECT_TRUE(story.disk().read_file("data/ballast").has_value());
  }));
  story.expect_everything();
}

TEST(ShardLog, ClientsDoNotEatTheSpaceThatAnotherShardGaveUp) {
  constexpr GroupId k_other{2};
  LogStory story(75);
  story.node_options.shards = 2;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    expect_ok(co_await story.create(logs, k_other));
    co_await take_all_space(story, logs);
    const std::uint64_t used = story.disk().used();
    ErrorCode refused{};
    for (int i = 0; i < 20 && refused == ErrorCode{}; ++i) {
      const auto done = co_await story.append(logs, k_other, 50'000);
      if (!done) refused = done.error().code;
    }
    EXPECT_EQ(refused, ErrorCode::disk_full);
    EXPECT_LE(story.disk().used(), used);
    story.disk().set_capacity(16_GiB);
    expect_ok(co_await story.append(logs, k_other, 50'000));
    EXPECT_TRUE(story.disk().read_file("data/ballast").has_value());
    expect_ok(co_await story.append(logs, k_group, 50'000));
  }));
  story.expect_everything();
}

// The deletion is durable, and then its files cannot be removed; meanwhile the journal goes on.
TEST(ShardLog, ADeletionThatWasNotFinishedIsFinishedByTheNextStart) {
  LogStory story(69);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    expect_ok(co_await story.append(logs, k_group, 1000));
    story.disk().faults().fail({.matches = on(Verb::remove_file, "/groups/"), .error = EIO});
    EXPECT_FALSE(co_await story.remove(logs, k_group));
  }));
  const std::string folder = DataFolder("data").group_folder(k_group);
  EXPECT_TRUE(story.disk().read_file(folder + "/00000000000000000001.segment").has_value());
  story.expect_everything();
  EXPECT_FALSE(story.disk().read_file(folder + "/00000000000000000001.segment").has_value());
}

TEST(ShardLog, ASegmentThatCouldNotBeRemovedIsRemovedLater) {
  LogStory story(70);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 20; ++i) expect_ok(co_await story.append(logs, k_group, 50'000));
    const std::string first = DataFolder("data").segment(k_group, Index{1});
    story.disk().faults().fail({.matches = on(Verb::remove_file, first), .error = EIO});
    expect_ok(co_await story.trim(logs, k_group, Offset{15}));
    co_await logs.reactor.sleep(std::chrono::milliseconds(50));
    EXPECT_EQ(story.disk().faults().hits(), 1U);
    EXPECT_FALSE(story.disk().read_file(first).has_value());
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

TEST(ShardLog, AfterAFailedSyncNothingIsAcknowledged) {
  LogStory story(62);
  const auto ended = story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 5; ++i) expect_ok(co_await story.append(logs, k_group, 100));
    story.disk().faults().fail({.matches = on(Verb::write, "journal"), .error = 5});
    const auto failed = co_await story.append(logs, k_group, 100);
    EXPECT_FALSE(failed.has_value());
    EXPECT_EQ((co_await logs.of(k_group).failed()).code, ErrorCode::sync_failed);
    EXPECT_FALSE((co_await story.append(logs, k_group, 100)).has_value());
  });
  EXPECT_FALSE(ended.has_value());
  story.disk().faults().clear();
  story.expect_everything();
}

// Devices have more names for it than EIO, and direct I/O hands them through.
TEST(ShardLog, AFailedSyncHasManyNames) {
  for (const int error : {ENODATA, EREMOTEIO, ETIMEDOUT, EILSEQ, ETIME, ENOMEM}) {
    LogStory story(62);
    const auto ended = story.run([&](LogStory::Logs& logs) -> Task<void> {
      story.disk().faults().fail({.matches = on(Verb::write, "groups/"), .error = error});
      EXPECT_FALSE((co_await story.create(logs, k_group)).has_value());
      EXPECT_EQ((co_await logs.of(k_group).failed()).code, ErrorCode::sync_failed);
    });
    EXPECT_EQ(ended.error().code, ErrorCode::sync_failed) << error;
  }
}

// ext4 answers so once it has had to give up its journal.
TEST(ShardLog, AFolderSyncOnAFileSystemThatHasGivenUpIsAFailedSync) {
  LogStory story(62);
  const auto ended = story.run([&](LogStory::Logs& logs) -> Task<void> {
    story.disk().faults().fail({.matches = on(Verb::sync_folder, "groups/"), .error = EROFS});
    EXPECT_FALSE((co_await story.create(logs, k_group)).has_value());
    EXPECT_EQ((co_await logs.of(k_group).failed()).code, ErrorCode::sync_failed);
  });
  EXPECT_EQ(ended.error().code, ErrorCode::sync_failed);
}

// The story, on a file system that refuses direct I/O: 1. a commit and its extent are in flight; 2. the sync
// of one of them fails, and the kernel takes its pages for clean; 3. the next start reads both, from those
// pages, finds them whole and makes them durable: a sync would have nothing to write; 4. the power fails, and
// the pages with it.
TEST(ShardLog, WhatAFailedSyncLeftInTheCacheIsWrittenAgainBeforeItCounts) {
  for (const char* part : {"groups/", "journal"}) {
    LogStory story(70);
    story.disk().faults().refuse_direct = true;
    const auto ended = story.run([&](LogStory::Logs& logs) -> Task<void> {
      expect_ok(co_await story.create(logs, k_group));
      expect_ok(co_await story.append(logs, k_group, 100));
      story.disk().faults().fail(
          {.matches = on(Verb::write, part), .kind = SimFaults::Kind::fail_and_forget});
      EXPECT_FALSE((co_await story.append(logs, k_group, 100'000)).has_value());
    });
    EXPECT_EQ(ended.error().code, ErrorCode::sync_failed);
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> { co_await story.expect_groups(logs); },
                        LogStory::End::abandoned));
    story.let_writes_land();
    story.disk().power_cut(story.world().random(), SimCut::drop_all);
    story.expect_everything();
    if (HasFailure()) FAIL() << part;
  }
}

// A device that has no space for the blocks of a file written long ago: what is under way may have happened.
TEST(ShardLog, AJournalThatFindsNoSpaceIsNoRefusal) {
  LogStory story(66);
  const auto ended = story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    story.disk().faults().fail(
        {.matches = on(Verb::write, "journal"), .kind = SimFaults::Kind::fail_late, .error = ENOSPC});
    const auto failed = co_await story.append(logs, k_group, 100);
    EXPECT_EQ(failed.error().code, ErrorCode::sync_failed);
  });
  EXPECT_EQ(ended.error().code, ErrorCode::sync_failed);
  story.expect_everything();
}

// The story: 1. a trim and a search by time begin in the oldest segments, whose files a slow disk opens; 2.
// another trim goes further, and retention removes those files; 3. what the first two find is no file, and
// the log has moved on.
TEST(ShardLog, AFileThatIsTrimmedFromUnderATrimOrASearchIsNotMissed) {
  LogStory story(71);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 60; ++i) expect_ok(co_await story.append(logs, k_group, 30'000));
  }));
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    SimFaults& faults = story.disk().faults();
    const SimFaults quick = faults;
    Gate gate(logs.reactor);
    bool trimmed = false, found = false;
    auto trim = [&]() -> Task<void> {
      expect_ok(co_await story.trim(logs, k_group, Offset{1}));
      trimmed = true;
    };
    auto search = [&]() -> Task<void> {
      const auto at = co_await logs.of(k_group).offset_for_timestamp(k_group, 0);
      expect_ok(at);
      if (at) EXPECT_GE(at->offset, Offset{1});
      found = true;
    };
    faults.latency_min = faults.latency_max = std::chrono::milliseconds(100);
    gate.spawn(trim());
    gate.spawn(search());
    co_await logs.reactor.yield();
    faults = quick;
    expect_ok(co_await story.trim(logs, k_group, Offset{50}));
    co_await logs.reactor.sleep(std::chrono::milliseconds(60));
    EXPECT_FALSE(story.disk().read_file("data/groups/0000000000000001/00000000000000000001.segment"));
    EXPECT_FALSE(trimmed || found);
    co_await gate.close();
    EXPECT_TRUE(trimmed && found);
  }));
  story.expect_everything();
}

TEST(ShardLog, ACutWhoseFilesStayEndsTheLogAndTheNextStartFinishesIt) {
  LogStory story(68);
  const auto ended = story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_group));
    for (int i = 0; i < 40; ++i) expect_ok(co_await story.append(logs, k_group, 30'000));
    story.disk().faults().fail({.matches = on(Verb::remove_file, "groups/"), .error = EIO});
    EXPECT_FALSE((co_await story.truncate(logs, k_group, Index{5})).has_value());
    EXPECT_EQ((co_await logs.of(k_group).append(k_group, make_batch(logs.reactor.buffers(), 1, 100, false), 1,
                                                AckLevel::durable))
                  .error()
                  .code,
              ErrorCode::sync_failed);
  });
  EXPECT_FALSE(ended.has_value());
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    co_await story.expect_groups(logs);
    for (int i = 0; i < 40; ++i) expect_ok(co_await story.append(logs, k_group, 30'000));
  }));
  story.expect_everything();
}

TEST(ShardLog, AKilledNodeStartsOnAFullDisk) {
  LogStory story(69);
  story.node_options.ballast_size = story.log_options.ballast_size = 128_KiB;
  // Below what the mover takes: at the kill they stand in the journal alone.
  const auto work = [&](LogStory::Logs& logs) -> Task<void> {
    for (std::uint64_t g = 1; g <= 6; ++g) {
      expect_ok(co_await story.create(logs, GroupId{g}));
      for (int i = 0; i < 4; ++i) expect_ok(co_await story.append(logs, GroupId{g}, 50'000));
    }
  };
  expect_ok(story.run(work, LogStory::End::abandoned));
  story.let_writes_land();
  story.disk().set_capacity(story.disk().used());
  story.expect_everything();
}

}  // namespace
}  // namespace millrace::test
