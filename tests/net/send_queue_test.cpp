// What a connection's queue of answers holds of the pool, beside what it counts.
#include "net/send_queue.h"

#include <gtest/gtest.h>

#include "engine/reactor/sim_world.h"

namespace millrace::test {
namespace {

using Script = void (*)(BufferPool& pool, AnswerMemory& memory, SendQueue& queue);

void with_queue(Script script) {
  SimWorld world(1);
  const SimEnd end = world.run(world.add_node("server"), [script](Reactor& reactor) -> Task<void> {
    AnswerMemory memory(reactor, 32_MiB);
    {
      SendQueue queue(memory);
      script(reactor.buffers(), memory, queue);
    }
    EXPECT_EQ(memory.held, 0u);
    EXPECT_EQ(reactor.buffers().bytes_in_use(), 0u);
    co_return;
  });
  EXPECT_EQ(end, SimEnd::reached);
}

constexpr std::uint32_t k_large = 5u << 20;

// Small pieces were put behind it into its block, which stayed for them, counted as 4 KiB.
TEST(SendQueue, ALargePieceThatHasLeftHoldsNothing) {
  with_queue([](BufferPool& pool, AnswerMemory& memory, SendQueue& queue) {
    EXPECT_TRUE(queue.append(k_large));
    EXPECT_EQ(queue.next(256_KiB).length(), 256_KiB);
    EXPECT_TRUE(queue.append(64));
    EXPECT_LE(pool.bytes_in_use(), 2 * memory.held);
    queue.sent(k_large);
    EXPECT_EQ(queue.bytes(), 64u);
    EXPECT_LE(pool.bytes_in_use(), 2 * memory.held);
  });
}

TEST(SendQueue, SmallPiecesShareABlockAroundALargeOne) {
  with_queue([](BufferPool& pool, AnswerMemory& memory, SendQueue& queue) {
    EXPECT_TRUE(queue.append(64));
    const auto large = queue.append(k_large);
    EXPECT_TRUE(large && large->size() == k_large);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(queue.append(64));
    const std::uint64_t small = pool.bytes_in_use() - BufferPool::capacity_for(k_large);
    EXPECT_EQ(small, k_block_size);
    EXPECT_EQ(queue.next(16_MiB).length(), k_large + 11 * 64);
    EXPECT_LE(pool.bytes_in_use(), 2 * memory.held);
    queue.sent(k_large + 11 * 64);
  });
}

}  // namespace
}  // namespace millrace::test
