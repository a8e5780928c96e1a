// Offsets found by timestamp.
#include <gtest/gtest.h>

#include "engine/base/endian.h"
#include "engine/log/segment_format.h"
#include "engine/log/shard_log.h"
#include "tests/log/log_story.h"

namespace millrace::test {
namespace {

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

}  // namespace
}  // namespace millrace::test
