#include "engine/base/buffer.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/limits.h"

namespace millrace {
namespace {

constexpr BufferPool::Options k_roomy{.bytes_max = 256_MiB, .idle_bytes_max = 64_MiB};

Buffer acquire(BufferPool& pool, std::uint64_t size) {
  Result<Buffer> buffer = pool.acquire(size);
  EXPECT_TRUE(buffer) << buffer.error().message;
  return buffer ? *std::move(buffer) : Buffer();
}

TEST(BufferPoolTest, BlocksAreThePowerOfTwoThatHoldsTheSizeAndAligned) {
  BufferPool pool(k_roomy);
  const auto capacity = [&](std::uint64_t size) {
    const Buffer buffer = acquire(pool, size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % k_block_size, 0u);
    std::memset(buffer.data(), 1, buffer.capacity());
    return buffer.capacity();
  };
  EXPECT_EQ(capacity(0), 4_KiB);
  EXPECT_EQ(capacity(1), 4_KiB);
  EXPECT_EQ(capacity(4096), 4_KiB);
  EXPECT_EQ(capacity(4097), 8_KiB);
  EXPECT_EQ(capacity(1_MiB), 1_MiB);
  EXPECT_EQ(capacity(16_MiB), 16_MiB);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(pool.bytes_in_use_max(), 16_MiB);
}

TEST(BufferPoolTest, MoreThanTheLargestClassIsTheCallersMistake) {
  BufferPool pool(k_roomy);
  EXPECT_EQ(pool.acquire(16_MiB + 1).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(pool.acquire(~std::uint64_t{0}).error().code, ErrorCode::invalid_argument);
}

TEST(BufferPoolTest, ASpareChunkIsTakenWhereNoneIsFreeAndUsedWhenNothingElseIs) {
  BufferPool pool(k_roomy);
  const std::span<std::byte> spare = pool.take_spare();
  ASSERT_EQ(spare.size(), 2_MiB);
  EXPECT_EQ(pool.idle_bytes(), 2_MiB);
  EXPECT_TRUE(pool.take_spare().empty()) << "one is enough";
  const Buffer small = acquire(pool, 4_KiB);
  EXPECT_EQ(small.data(), spare.data());
  const std::span<std::byte> next = pool.take_spare();
  ASSERT_EQ(next.size(), 2_MiB) << "the first one is in use";
  const Buffer second = acquire(pool, 4_KiB);
  EXPECT_GE(second.data(), spare.data());
  EXPECT_LT(second.data(), spare.data() + spare.size()) << "what is begun comes first";
  EXPECT_EQ(acquire(pool, 2_MiB).data(), next.data());
}

TEST(BufferPoolTest, NoSpareChunkIsTakenBeyondABound) {
  BufferPool idle({.bytes_max = 16_MiB, .idle_bytes_max = 3_MiB});
  const Buffer small = acquire(idle, 4_KiB);  // and nearly 2 MiB beside it are free
  EXPECT_TRUE(idle.take_spare().empty());
  BufferPool full({.bytes_max = 4_MiB, .idle_bytes_max = 4_MiB});
  const std::vector<Buffer> all = [&] {
    std::vector<Buffer> buffers;
    for (int i = 0; i < 4; ++i) buffers.push_back(acquire(full, 1_MiB));
    return buffers;
  }();
  EXPECT_FALSE(full.take_spare().empty());
  const Buffer whole = acquire(idle, 2_MiB);
  EXPECT_TRUE(idle.take_spare().empty());
}

TEST(BufferPoolTest, TheBoundRefusesUntilSomethingComesBack) {
  BufferPool pool({.bytes_max = 16_KiB, .idle_bytes_max = 16_KiB});
  Buffer first = acquire(pool, 8192);
  const Buffer second = acquire(pool, 8192);
  const Result<Buffer> third = pool.acquire(1);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::overloaded);
  first = Buffer();
  EXPECT_EQ(pool.bytes_in_use(), 8_KiB);
  EXPECT_TRUE(pool.acquire(1));
}

TEST(BufferPoolTest, TheLastReferenceGivesTheBlockBackAndItIsUsedAgain) {
  BufferPool pool(k_roomy);
  Buffer buffer = acquire(pool, 1_MiB);
  std::byte* const data = buffer.data();
  Slice slice{.buffer = buffer, .offset = 16, .length = 4};
  EXPECT_EQ(slice.bytes().data(), data + 16);
  Buffer copy = buffer;
  Buffer moved = std::move(buffer);
  EXPECT_FALSE(buffer);  // NOLINT(bugprone-use-after-move): what a move leaves is part of the contract
  moved = Buffer();
  copy = Buffer();
  EXPECT_EQ(pool.bytes_in_use(), 1_MiB);
  slice = Slice();
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(acquire(pool, 1_MiB).data(), data);
}

TEST(BufferPoolTest, WholeChunksBeyondTheIdleBoundGoBackToTheSystem) {
  BufferPool pool({.bytes_max = 64_MiB, .idle_bytes_max = 4_MiB});
  std::vector<Buffer> buffers;
  for (int i = 0; i < 8; ++i) buffers.push_back(acquire(pool, 2_MiB));
  buffers.push_back(acquire(pool, 16_MiB));
  EXPECT_EQ(pool.idle_bytes(), 0u);
  buffers.clear();
  pool.collect();
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(pool.idle_bytes(), 4_MiB);
  EXPECT_EQ(pool.bytes_in_use_max(), 32_MiB);
}

TEST(BufferPoolTest, AChunkWithABlockInUseStays) {
  BufferPool pool({.bytes_max = 64_MiB, .idle_bytes_max = 0});
  Buffer kept = acquire(pool, 4_KiB);
  std::memset(kept.data(), 5, kept.capacity());
  (void)acquire(pool, 1_MiB);
  pool.collect();
  EXPECT_EQ(pool.idle_bytes(), 2_MiB - 4_KiB);
  EXPECT_EQ(kept.data()[4095], std::byte{5});
  kept = Buffer();
  pool.collect();
  EXPECT_EQ(pool.idle_bytes(), 0u);
}

TEST(BufferPoolTest, BlocksThatCameBackMergeIntoLargerOnes) {
  BufferPool pool({.bytes_max = 2_MiB, .idle_bytes_max = 2_MiB});
  std::vector<Buffer> small;
  for (int i = 0; i < 512; ++i) small.push_back(acquire(pool, 4096));
  EXPECT_EQ(pool.idle_bytes(), 0u);
  std::shuffle(small.begin(), small.end(), std::mt19937_64(1));
  small.clear();
  const Buffer large = acquire(pool, 2_MiB);
  EXPECT_EQ(pool.idle_bytes(), 0u) << "of the same chunk";
}

TEST(BufferPoolTest, MemoryInPiecesIsBoundedToo) {
  BufferPool pool({.bytes_max = 8_MiB, .idle_bytes_max = 4_MiB});
  std::vector<Buffer> small;
  for (int i = 0; i < 2048; ++i) small.push_back(acquire(pool, 4096));
  // One block of each megabyte stays.
  for (std::size_t i = 0; i < small.size(); ++i) {
    if (i % 256 != 0) small[i] = Buffer();
  }
  std::vector<Buffer> large;
  for (Result<Buffer> more = pool.acquire(1_MiB); more; more = pool.acquire(1_MiB))
    large.push_back(*std::move(more));
  EXPECT_EQ(large.size(), 4u) << "2 chunks more";
  EXPECT_TRUE(pool.acquire(256_KiB));
  small.clear();
  EXPECT_TRUE(pool.acquire(1_MiB));
}

// Blocks of every size come and go in the order of a seed; each is filled, and must be whole when it goes.
TEST(BufferPoolTest, BlocksNeverOverlap) {
  BufferPool pool({.bytes_max = 64_MiB, .idle_bytes_max = 4_MiB});
  std::mt19937_64 random(7);
  std::vector<std::pair<Buffer, std::byte>> held;
  for (int i = 0; i < 20'000; ++i) {
    if (held.size() < 64 && random() % 2 == 0) {
      const auto mark = static_cast<std::byte>(random());
      held.emplace_back(acquire(pool, std::size_t{4096} << (random() % 8)), mark);
      auto bytes = held.back().first.bytes();
      for (std::size_t at = 0; at < bytes.size(); at += 4096) bytes[at] = mark;
      bytes.back() = mark;
    } else if (!held.empty()) {
      auto& [buffer, mark] = held[random() % held.size()];
      auto bytes = buffer.bytes();
      for (std::size_t at = 0; at < bytes.size(); at += 4096) ASSERT_EQ(bytes[at], mark);
      ASSERT_EQ(bytes.back(), mark);
      std::swap(held[random() % held.size()], held.back());
      held.pop_back();
    }
  }
  held.clear();
  pool.collect();
  EXPECT_LE(pool.idle_bytes(), 4_MiB) << "everything has merged into whole chunks";
}

TEST(BufferPoolTest, AdoptedMemoryIsCarvedFirstReusedFirstAndNamesItsRegistration) {
  const std::unique_ptr<std::byte, void (*)(std::byte*)> region(
      static_cast<std::byte*>(::operator new(1_MiB, std::align_val_t{k_block_size})),
      [](std::byte* memory) { ::operator delete(memory, std::align_val_t{k_block_size}); });
  BufferPool pool({.bytes_max = 64_MiB, .idle_bytes_max = 0});
  pool.adopt({region.get(), 1_MiB}, 3);
  std::vector<Buffer> buffers;
  for (int i = 0; i < 4; ++i) {
    buffers.push_back(acquire(pool, 256_KiB));
    EXPECT_EQ(buffers.back().block()->registered, 3);
    EXPECT_EQ(buffers.back().data(), region.get() + static_cast<std::size_t>(i) * 256_KiB);
  }
  const Buffer beyond = acquire(pool, 256_KiB);
  EXPECT_EQ(beyond.block()->registered, -1);
  EXPECT_EQ(acquire(pool, 2_MiB).block()->registered, -1);
  buffers.clear();
  EXPECT_EQ(acquire(pool, 200_KiB).block()->registered, 3);
  EXPECT_EQ(pool.bytes_in_use(), 256_KiB);
}

TEST(BufferPoolTest, BuffersOutliveTheirPool) {
  auto pool = std::make_optional<BufferPool>(k_roomy);
  Buffer kept = acquire(*pool, 64_KiB);
  {
    const Buffer idle = acquire(*pool, 64_KiB);
  }
  pool.reset();
  std::memset(kept.data(), 7, kept.capacity());
  const Buffer copy = kept;
  kept = Buffer();
  EXPECT_EQ(copy.data()[64_KiB - 1], std::byte{7});
}

// Four threads let go of what the owner acquires, while it acquires; each block carries a pattern that a
// second owner would overwrite.
TEST(BufferPoolTest, OtherThreadsMayLetGoWhileTheOwnerAcquires) {
  constexpr std::size_t k_threads = 4;
  constexpr std::size_t k_rounds = 4'000;
  auto pool =
      std::make_optional<BufferPool>(BufferPool::Options{.bytes_max = 64_MiB, .idle_bytes_max = 256_KiB});
  std::vector<std::atomic<Buffer*>> mailboxes(k_threads);
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < k_threads; ++t) {
    threads.emplace_back([&, t] {
      for (;;) {
        const bool last = done.load();
        const std::unique_ptr<Buffer> buffer(mailboxes[t].exchange(nullptr));
        if (buffer != nullptr) {
          const auto bytes = buffer->bytes();
          if (bytes.front() != bytes.back()) torn.fetch_add(1);
        } else if (last) {
          return;
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  std::mt19937_64 random(1);
  for (std::size_t i = 0; i < k_rounds; ++i) {
    auto buffer = std::make_unique<Buffer>(acquire(*pool, std::size_t{4096} << (random() % 5)));
    buffer->bytes().front() = buffer->bytes().back() = static_cast<std::byte>(i);
    // What the mailbox still held is let go here, on the owner's thread.
    const std::unique_ptr<Buffer> unread(mailboxes[i % k_threads].exchange(buffer.release()));
    ASSERT_LE(pool->bytes_in_use(), pool->bytes_in_use_max());
  }
  done.store(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(torn.load(), 0);
  EXPECT_EQ(pool->bytes_in_use(), 0u);
}

TEST(BufferPoolTest, ThePoolMayGoWhileOtherThreadsLetGo) {
  for (int round = 0; round < 50; ++round) {
    auto pool = std::make_optional<BufferPool>(k_roomy);
    std::vector<Buffer> left;
    std::vector<Buffer> right;
    for (int i = 0; i < 64; ++i) (i % 2 == 0 ? left : right).push_back(acquire(*pool, 4096));
    std::thread one([&left] { left.clear(); });
    std::thread two([&right] { right.clear(); });
    pool.reset();
    one.join();
    two.join();
    EXPECT_TRUE(left.empty() && right.empty());
  }
}

}  // namespace
}  // namespace millrace
