// One node's log where memory is short, and where the journal or a segment has little room.
#include <deque>
#include <gtest/gtest.h>

#include "engine/log/journal_room.h"
#include "engine/log/segment_format.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/wait.h"
#include "tests/log/log_sender.h"
#include "tests/log/log_story.h"

namespace millrace::test {
namespace {

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

// The story: 1. four groups at a time send 512 KiB each straight to their segments, all that a commit may; 2.
// beside them, one record of another group goes through the journal; 3. it is moved at once, an extent with
// padding of its own; 4. the padding was set aside for every other record only, and the last extents of a
// full segment stood beyond its space.
TEST(ShardLog, RecordsThatAreMovedOneByOneHaveRoomForTheirPadding) {
  constexpr std::uint64_t k_large = 360;
  constexpr GroupId k_slow{1000};
  SimOptions options;
  options.buffers = {.bytes_max = 512_MiB, .idle_bytes_max = 4_MiB};
  LogStory story(80, options);
  story.log_options.unplaced_bytes_max = 256_MiB;
  story.log_options.cache_bytes = 0;  // what can be moved is moved at once
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_slow));
    story.settings.segment_size = 3_MiB;
    for (std::uint64_t g = 1; g <= 1 + k_large; ++g) {
      expect_ok(co_await story.create(logs, GroupId{g}));
      expect_ok(co_await story.append(logs, GroupId{g}, 100));
    }
    int done = 0;
    Gate gate(logs.reactor);
    co_await story.begin_a_slow_commit(logs, gate, k_slow);
    const Slice large = make_batch(logs.reactor.buffers(), 1'000'000, 512_KiB, false);
    const auto append_large = [&](GroupId group) -> Task<void> {
      story.groups[group].attempted[1'000'000] = 512_KiB;
      expect_ok(co_await logs.of(group).append(group, large, 1, AckLevel::durable));
      ++done;
    };
    for (std::uint64_t g = 2; g <= 1 + k_large; ++g) gate.spawn(append_large(GroupId{g}));
    co_await logs.reactor.sleep(std::chrono::milliseconds(20));
    // Just more than 8 blocks each.
    for (int i = 0; i < 90; ++i) gate.spawn(story.append_counted(logs, k_group, 32'680, done));
    co_await logs.reactor.sleep(std::chrono::milliseconds(20));
    EXPECT_EQ(done, 0) << "the others were to wait";
    // A commit takes as long as the slowest of its writes, a move has one.
    const std::uint64_t moved = logs.of(k_group).counters().moved_extents;
    story.disk().faults().latency_min = std::chrono::microseconds(1);
    story.disk().faults().latency_max = std::chrono::microseconds(200);
    co_await gate.close();
    EXPECT_GT(logs.of(k_group).counters().moved_extents, moved + 40);
  }));
  story.expect_everything();
}

// Entries hold the receiving shard's memory until they are copied for their writes. The cache is not full
// then, and lets nothing go; those who waited heard of it from the next empty commit.
TEST(ShardLog, AppendsThatWaitForAnotherShardsMemoryGoOnOnceItIsCopied) {
  constexpr std::uint64_t k_batches = 300;
  constexpr GroupId k_slow{3};
  LogStory story(81);
  story.node_options.shards = 2;
  story.settings.segment_size = 64_MiB;
  story.log_options.cache_bytes = 16_MiB;
  story.log_options.unplaced_bytes_max = 1_MiB;
  story.log_options.retention_interval = std::chrono::hours(1);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_slow));
    expect_ok(co_await story.create(logs, k_group));
    std::vector<Slice> batches;
    for (std::uint64_t id = 1; id <= k_batches; ++id) {
      story.groups[k_group].attempted[id + k_batches] = 50'000;
      batches.push_back(make_batch(logs.reactor.buffers(), id + k_batches, 50'000, true));
    }
    const auto append = [&](Slice batch) -> Task<void> {
      expect_ok(co_await logs.of(k_group).append(k_group, std::move(batch), 1, AckLevel::durable));
    };
    const MonotonicTime begin = logs.reactor.now();
    Gate slow(logs.reactor);
    co_await story.begin_a_slow_commit(logs, slow, k_slow);
    co_await on_shard(logs.reactor, shard_of(k_group, 2), [&](Reactor& there) -> Task<void> {
      Gate gate(there);
      for (Slice& batch : batches) gate.spawn(append(std::move(batch)));
      co_await gate.close();
    });
    co_await slow.close();
    EXPECT_LT(logs.reactor.now() - begin, std::chrono::milliseconds(150));
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

// Each record was counted as an extent of its own, which has a description in the journal: those of 2 MiB of
// small records would have been larger than a journal file.
TEST(ShardLog, ManySmallRecordsGoStraightToTheirSegmentBesideASmallJournal) {
  constexpr GroupId k_slow{2};
  LogStory story(82);
  story.settings.segment_size = 8_MiB;
  story.log_options.unplaced_bytes_max = 16_MiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, k_slow));
    expect_ok(co_await story.create(logs, k_group));
    int done = 0;
    Gate gate(logs.reactor);
    co_await story.begin_a_slow_commit(logs, gate, k_slow);
    for (int i = 0; i < 20'000; ++i) gate.spawn(story.append_counted(logs, k_group, 8, done));
    co_await logs.reactor.sleep(std::chrono::milliseconds(20));
    EXPECT_EQ(done, 0) << "the others were to wait";
    co_await gate.close();
    EXPECT_LT(logs.of(k_group).counters().direct_extents, 10U);
    co_await story.expect_groups(logs);
  }));
  story.expect_everything();
}

// It was taken for a failed sync.
TEST(ShardLog, ALackOfMemoryWhenTheJournalIsToBeFilledPasses) {
  LogStory story(84);
  story.node().start(1, [&](Reactor& reactor) -> Task<void> {
    const auto node = co_await open_node(reactor, story.node_options);
    expect_ok(node);
    ShardLog log(reactor, DataFolder(story.node_options.folder), node->identity, node->journals[0],
                 node->groups[0], node->ballast, story.log_options);
    Pinched memory(reactor.buffers());
    memory.leave(192_KiB);
    expect_ok(co_await log.start());
    co_await reactor.sleep(std::chrono::milliseconds(20));
    memory.let_go();
    expect_ok(co_await log.create(k_group, {}));
    // All of the ring is needed.
    for (std::uint64_t i = 0; i < 200; ++i) {
      expect_ok(co_await log.append(k_group, make_batch(reactor.buffers(), i, 50'000, false), 1,
                                    AckLevel::durable));
    }
    EXPECT_GT(log.counters().checkpoints, 0U);
    expect_ok(co_await log.stop());
  });
  EXPECT_EQ(story.world().run_until([&] { return !story.node().running(); }), SimEnd::reached);
}

// With more of them the room that checkpoints and records have to themselves was more than half of the ring.
// No checkpoint was due while half of it was free, and no entry had room: everything stood still for ever.
TEST(ShardLog, AsManyGroupsAsTheJournalHoldsGoOnAndOneMoreIsRefused) {
  LogStory story(85);
  story.log_options.retention_interval = std::chrono::hours(1);
  story.log_options.unplaced_bytes_max = 16_MiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    std::deque<LogSender> senders;
    Result<void> refused;
    for (std::uint64_t g = 1; g <= 4000; ++g) {
      refused = co_await story.create(logs, GroupId{g});
      if (!refused) break;
      senders.emplace_back(story, g, GroupId{g});
    }
    EXPECT_EQ(senders.size(), groups_max(1_MiB));
    EXPECT_EQ(refused ? ErrorCode{} : refused.error().code, ErrorCode::invalid_argument);
    for (int round = 0; round < 3; ++round) {
      Gate gate(logs.reactor);
      for (LogSender& sender : senders) gate.spawn(sender.send(logs, {1000}));
      co_await gate.close();
    }
    EXPECT_GT(logs.of(k_group).counters().checkpoints, 1U);
    expect_ok(co_await story.remove(logs, GroupId{7}));
    expect_ok(co_await story.create(logs, GroupId{5000}));
  }));
  story.expect_everything();
}

// Checkpoints tell of them, and were larger than the room that they have to themselves.
TEST(ShardLog, DeletedGroupsWhoseFilesCannotBeRemovedCountUntilTheNextStart) {
  LogStory story(87);
  story.log_options.retention_interval = std::chrono::hours(1);
  const std::uint64_t most = groups_max(1_MiB);
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    for (std::uint64_t g = 1; g <= most; ++g) expect_ok(co_await story.create(logs, GroupId{g}));
    story.disk().faults().fail({.matches = on(Verb::remove_file, ".segment"), .times = 2});
    for (const std::uint64_t g : {7U, 8U, 9U}) (void)co_await story.remove(logs, GroupId{g});
    EXPECT_EQ(story.disk().faults().hits(), 2U);
    expect_ok(co_await story.create(logs, GroupId{most + 1}));
    const auto refused = co_await story.create(logs, GroupId{most + 2});
    EXPECT_EQ(refused ? ErrorCode{} : refused.error().code, ErrorCode::invalid_argument);
  }));
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    expect_ok(co_await story.create(logs, GroupId{most + 2}));
    expect_ok(co_await story.create(logs, GroupId{most + 3}));
  }));
  story.expect_everything();
}

TEST(ShardLog, AStartWithAJournalThatIsTooSmallForTheGroupsIsRefused) {
  LogStory story(86);
  story.node_options.journal_file_size = 2_MiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    for (std::uint64_t g = 1; g <= groups_max(1_MiB) + 1; ++g)
      expect_ok(co_await story.create(logs, GroupId{g}));
    expect_ok(co_await story.append(logs, k_group, 1000));
  }));
  story.node_options.journal_file_size = 1_MiB;
  const auto refused = story.run([](LogStory::Logs&) -> Task<void> { co_return; });
  EXPECT_EQ(refused ? ErrorCode{} : refused.error().code, ErrorCode::invalid_argument);
  story.node_options.shards = 2;
  story.expect_everything();
}

}  // namespace
}  // namespace millrace::test
