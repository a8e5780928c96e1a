// The parts of a reactor that need none: queues, timers, frames, addresses.
#include <cstring>
#include <gmock/gmock.h>
#include <map>
#include <optional>
#include <random>
#include <thread>

#include "engine/reactor/address.h"
#include "engine/reactor/frame_allocator.h"
#include "engine/reactor/host_port.h"
#include "engine/reactor/request.h"
#include "engine/reactor/ring_queue.h"
#include "engine/reactor/shard_mail.h"
#include "engine/reactor/spsc_ring.h"
#include "engine/reactor/timer_heap.h"

namespace millrace {
namespace {

using testing::HasSubstr;

TEST(RingQueue, KeepsItsOrderWhileItGrows) {
  RingQueue<int> queue;
  int in = 0;
  int out = 0;
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 17; ++i) queue.push(in++);
    for (int i = 0; i < 11; ++i) EXPECT_EQ(queue.pop(), out++);
  }
  while (!queue.empty()) EXPECT_EQ(queue.pop(), out++);
  EXPECT_EQ(in, out);
}

TEST(RingQueue, FindsWhatWaitsAndNothingElse) {
  RingQueue<int> queue;
  const auto first = queue.push(10);
  const auto second = queue.push(20);
  EXPECT_EQ(queue.pop(), 10);
  EXPECT_EQ(queue.find(first), nullptr);
  ASSERT_NE(queue.find(second), nullptr);
  EXPECT_EQ(*queue.find(second), 20);
  EXPECT_EQ(queue.find(second + 1), nullptr);
}

// Against a sorted map, with timers added, removed and fired in an order that the seed decides.
TEST(TimerHeap, FiresLikeASortedMap) {
  std::mt19937 random(1);
  TimerHeap heap;
  std::map<std::pair<std::int64_t, int>, std::uint32_t> expected;
  std::map<std::uint32_t, std::pair<std::int64_t, int>> keys;
  std::int64_t now = 0;
  for (int step = 0; step < 20'000; ++step) {
    const auto slot = static_cast<std::uint32_t>(random() % 300);
    if (keys.contains(slot)) {
      heap.remove(slot);
      expected.erase(keys[slot]);
      keys.erase(slot);
    } else {
      const std::pair<std::int64_t, int> key{now + static_cast<std::int64_t>(random() % 50), step};
      heap.add(slot, MonotonicTime(Duration(key.first)));
      expected[key] = slot;
      keys[slot] = key;
    }
    now += static_cast<std::int64_t>(random() % 2);
    while (const auto due = heap.pop_due(MonotonicTime(Duration(now)))) {
      ASSERT_FALSE(expected.empty());
      EXPECT_EQ(*due, expected.begin()->second);
      EXPECT_LE(expected.begin()->first.first, now);
      keys.erase(*due);
      expected.erase(expected.begin());
    }
    const MonotonicTime next =
        expected.empty() ? k_never : MonotonicTime(Duration(expected.begin()->first.first));
    ASSERT_EQ(heap.next(), next);
  }
}

TEST(SpscRing, RefusesWhatDoesNotFitAndLeavesItAlone) {
  SpscRing<std::optional<int>> ring(4);
  for (int i = 0; i < 4; ++i) {
    std::optional<int> value = i;
    EXPECT_TRUE(ring.push(value));
  }
  std::optional<int> extra = 4;
  EXPECT_FALSE(ring.push(extra));
  EXPECT_EQ(extra, 4);
  std::optional<int> out;
  EXPECT_TRUE(ring.pop(out));
  EXPECT_EQ(out, 0);
  EXPECT_TRUE(ring.push(extra));
}

TEST(SpscRing, CarriesEverythingInOrderBetweenTwoThreads) {
  constexpr std::uint64_t k_count = 200'000;
  SpscRing<std::uint64_t> ring(64);
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < k_count;) {
      std::uint64_t value = i;
      if (ring.push(value)) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  for (std::uint64_t expected = 0; expected < k_count;) {
    std::uint64_t value = 0;
    if (ring.pop(value)) {
      ASSERT_EQ(value, expected++);
    } else {
      std::this_thread::yield();
    }
  }
  producer.join();
  EXPECT_TRUE(ring.empty());
}

// 256 shards would need more than a gigabyte.
TEST(ShardMail, HoldsRingsOnlyBetweenShardsThatHaveSpoken) {
  ShardMail mail(256);
  Mailbox mailbox(mail, 3);
  EXPECT_TRUE(mailbox.fall_asleep());
  mailbox.post(200, [](Reactor&) {});
  for (std::uint32_t from = 0; from < 256; ++from) {
    for (std::uint32_t to = 0; to < 256; ++to) {
      EXPECT_EQ(mail.find_lane(from, to) != nullptr, from == 3 && to == 200) << from << " to " << to;
    }
  }
  // The one that it was posted to may not sleep.
  EXPECT_FALSE(Mailbox(mail, 200).fall_asleep());
  EXPECT_TRUE(Mailbox(mail, 201).fall_asleep());
}

TEST(FrameAllocator, FramesOfAnySizeAreWritable) {
  for (const std::size_t size : {1UL, 63UL, 64UL, 65UL, 4096UL, 8192UL, 8193UL, 100'000UL}) {
    for (int round = 0; round < 3; ++round) {
      void* frame = allocate_frame(size);
      std::memset(frame, round, size);
      free_frame(frame, size);
    }
  }
}

TEST(Address, IsParsedAndPrinted) {
  for (const char* text : {"127.0.0.1:7420", "[::1]:7420", "0.0.0.0:0", "[fe80::1]:65535"}) {
    const auto address = parse_address(text);
    ASSERT_TRUE(address.has_value()) << address.error().message;
    EXPECT_EQ(to_string(*address), text);
  }
  const auto local = parse_address("localhost:7420");
  ASSERT_TRUE(local.has_value()) << local.error().message;
  EXPECT_EQ(local->port, 7420);
}

TEST(Address, RefusalsSayWhatWasExpected) {
  for (const char* text : {"", ":", ":7420", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:x",
                           "127.0.0.1:-1", "::1:7420", "[::1:7420", "127.0.0.1:7420 "}) {
    const auto address = parse_address(text);
    ASSERT_FALSE(address.has_value()) << text;
    EXPECT_EQ(address.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(address.error().message, HasSubstr("expected HOST:PORT")) << text;
  }
}

TEST(HostPort, ANameIsReadWithoutAskingForItAndResolvedLater) {
  const auto place = parse_host_port("no.such.host.invalid:1");
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(to_string(*place), "no.such.host.invalid:1");
  const auto address = resolve(*place);
  ASSERT_FALSE(address.has_value());
  EXPECT_EQ(address.error().code, ErrorCode::unavailable);
  EXPECT_THAT(address.error().message, HasSubstr("cannot resolve"));
  EXPECT_EQ(resolve({"::1", 7}), (Address{"::1", 7}));
}

TEST(Slices, KnowTheirLengthAndLimit) {
  BufferPool pool({.bytes_max = 1 << 20, .idle_bytes_max = 1 << 20});
  Slices slices;
  while (!slices.full()) slices.push({*pool.acquire(4096), 96, 100});
  EXPECT_EQ(slices.count(), k_slices_max);
  EXPECT_EQ(slices.length(), k_slices_max * 100);
  slices.clear();
  EXPECT_EQ(slices.count(), 0U);
  EXPECT_EQ(pool.bytes_in_use(), 0U);
}

TEST(Slices, AreGoneFromWhereTheyWereMovedFrom) {
  BufferPool pool({.bytes_max = 1 << 20, .idle_bytes_max = 1 << 20});
  Slices from;
  for (std::uint32_t i = 1; i <= 3; ++i) from.push({*pool.acquire(4096), 0, i});
  Slices to{Slice{*pool.acquire(4096), 0, 50}};
  to.push({*pool.acquire(4096), 0, 60});
  to.push({*pool.acquire(4096), 0, 70});
  to.push({*pool.acquire(4096), 0, 80});
  to = std::move(from);
  EXPECT_EQ(from.count(), 0U);  // NOLINT(bugprone-use-after-move): that is what is promised
  EXPECT_EQ(from.length(), 0U);
  EXPECT_EQ(to.count(), 3U);
  EXPECT_EQ(to.length(), 6U);
  EXPECT_EQ(pool.bytes_in_use(), 3U * 4096);
  from.push({*pool.acquire(4096), 0, 9});
  Slices third = std::move(to);
  third = std::move(from);
  EXPECT_EQ(third.length(), 9U);
  EXPECT_EQ(pool.bytes_in_use(), 4096U);
}

TEST(SlicesDeathTest, ASliceOutsideItsBufferIsOurBug) {
  BufferPool pool({.bytes_max = 1 << 20, .idle_bytes_max = 1 << 20});
  EXPECT_DEATH(Slices(Slice{*pool.acquire(4096), 4000, 97}), "outside its buffer");
}

}  // namespace
}  // namespace millrace
