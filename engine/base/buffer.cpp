// How a block comes home. A Buffer may be let go on any shard, and nothing tells which one that is, so every
// block returns through one lock-free stack: releasing shards push, the owner takes the whole stack at once
// (which is what makes it free of the ABA problem) and merges the blocks into its heap.
//
// The pool's state outlives the pool: it is shared by the pool and every block that is out, and the last of
// them frees it.
#include "engine/base/buffer.h"

#include <algorithm>
#include <new>
#include <utility>

#include "engine/base/block_heap.h"
#include "engine/base/check.h"
#include "engine/base/limits.h"

namespace millrace {
namespace {

// Blocks that are out keep the free ones beside them in their chunk from going back.
std::uint64_t held_max(const BufferPool::Options& options) {
  return options.bytes_max + std::max<std::uint64_t>(options.idle_bytes_max, 2_MiB);
}

}  // namespace

struct BufferPoolState {
  explicit BufferPoolState(BufferPool::Options the_options)
      : options(the_options), heap(options.pages, held_max(options), this) {}

  const BufferPool::Options options;

  // The owner's.
  BlockHeap heap;
  bool adopted = false;

  // Everybody's.
  std::atomic<BufferBlock*> returned{nullptr};
  std::atomic<std::uint64_t> bytes_in_use{0};
  std::atomic<std::uint64_t> bytes_in_use_max{0};
  std::atomic<std::uint64_t> receive_bytes_in_use{0};
  std::atomic<std::uint64_t> holders{1};  // the pool and every block that is out

  void collect(std::uint64_t idle_bytes_max) {
    if (returned.load(std::memory_order_relaxed) == nullptr) return;
    BufferBlock* block = returned.exchange(nullptr, std::memory_order_acquire);
    while (block != nullptr) {
      BufferBlock* following = block->next;
      heap.give(block);
      block = following;
    }
    heap.shrink_to(idle_bytes_max);
  }

  // On any shard.
  void give_back(BufferBlock* block) {
    if (block->part == PoolPart::receive)
      receive_bytes_in_use.fetch_sub(block->capacity, std::memory_order_relaxed);
    bytes_in_use.fetch_sub(block->capacity, std::memory_order_relaxed);
    BufferBlock* head = returned.load(std::memory_order_relaxed);
    do {
      block->next = head;
    } while (
        !returned.compare_exchange_weak(head, block, std::memory_order_release, std::memory_order_relaxed));
    let_go();
  }

  void let_go() {
    if (holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
};

void* PageSource::take_from_heap(std::size_t bytes) {
  return ::operator new(bytes, std::align_val_t{k_block_size}, std::nothrow);
}

void PageSource::give_to_heap(void* memory, std::size_t) {
  ::operator delete(memory, std::align_val_t{k_block_size});
}

void Buffer::give_back(BufferBlock* block) {
  block->pool->give_back(block);
}

BufferPool::BufferPool(Options options) : state_(new BufferPoolState(options)) {}

BufferPool::~BufferPool() {
  state_->collect(0);
  state_->heap.shrink_to(0);
  state_->let_go();
}

Result<Buffer> BufferPool::acquire(std::uint64_t size, PoolPart part) {
  const unsigned order = BlockHeap::order_of(size);
  if (order >= BlockHeap::k_orders) {
    return fail(ErrorCode::invalid_argument, "a buffer of {} bytes was asked for, the largest has {}", size,
                BlockHeap::capacity_of(BlockHeap::k_orders - 1));
  }
  BufferPoolState& state = *state_;
  const std::uint64_t in_use =
      state.bytes_in_use.load(std::memory_order_relaxed) + BlockHeap::capacity_of(order);
  const std::uint64_t bytes_max =
      state.options.bytes_max - (part == PoolPart::reserve ? 0 : state.options.reserve_bytes);
  if (in_use > bytes_max) {
    return fail(ErrorCode::overloaded,
                "the shard's buffers are used up: {} bytes asked for, {} of {} in use; try again when "
                "requests have ended",
                size, in_use - BlockHeap::capacity_of(order), bytes_max);
  }
  state.collect(state.options.idle_bytes_max);
  BufferBlock* block = state.heap.take(order);
  if (block == nullptr) {
    return fail(ErrorCode::overloaded,
                "no memory for a buffer of {} bytes: the system has none, or the shard's {} bytes are in "
                "pieces; try again when requests have ended",
                BlockHeap::capacity_of(order), held_max(state.options));
  }
  state.holders.fetch_add(1, std::memory_order_relaxed);
  state.bytes_in_use.fetch_add(block->capacity, std::memory_order_relaxed);
  block->part = part;
  if (part == PoolPart::receive)
    state.receive_bytes_in_use.fetch_add(block->capacity, std::memory_order_relaxed);
  // Only the owner raises the two, so a plain maximum is right.
  if (in_use > state.bytes_in_use_max.load(std::memory_order_relaxed)) {
    state.bytes_in_use_max.store(in_use, std::memory_order_relaxed);
  }
  return Buffer(block);
}

void BufferPool::collect() {
  state_->collect(state_->options.idle_bytes_max);
}

std::span<std::byte> BufferPool::take_spare() {
  return state_->heap.take_spare(state_->options.idle_bytes_max);
}

std::uint32_t BufferPool::capacity_for(std::uint64_t size) {
  return BlockHeap::capacity_of(BlockHeap::order_of(size));
}

std::uint64_t BufferPool::receive_bytes_in_use() const {
  return state_->receive_bytes_in_use.load(std::memory_order_relaxed);
}

std::uint64_t BufferPool::bytes_in_use() const {
  return state_->bytes_in_use.load(std::memory_order_relaxed);
}

std::uint64_t BufferPool::bytes_in_use_max() const {
  return state_->bytes_in_use_max.load(std::memory_order_relaxed);
}

std::uint64_t BufferPool::idle_bytes() const {
  return state_->heap.free_bytes();
}

void BufferPool::adopt(std::span<std::byte> region, std::int32_t registered) {
  CHECK(!std::exchange(state_->adopted, true), "a pool adopts one region");
  state_->heap.adopt(region, registered);
}

}  // namespace millrace
