#include "engine/base/block_heap.h"

#include <algorithm>
#include <bit>

#include "engine/base/check.h"
#include "engine/base/limits.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(memory, size) ((void)(memory), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(memory, size) ((void)(memory), (void)(size))
#endif

namespace millrace {

static_assert(k_block_size == 1u << BlockHeap::k_shift_min);

// One description for each 4 KiB, in use where a block begins: so the buddy of a block is found by its
// number.
struct BufferChunk {
  std::byte* memory = nullptr;
  unsigned order = 0;
  bool adopted = false;
  std::size_t place = 0;  // in chunks_
  std::vector<BufferBlock> blocks;
};

unsigned BlockHeap::order_of(std::uint64_t size) {
  return size <= k_block_size ? 0 : static_cast<unsigned>(std::bit_width(size - 1)) - k_shift_min;
}

void BlockHeap::FreeBlocks::push(BufferBlock* block) {
  BufferBlock*& head = first[block->order];
  block->free = true;
  block->previous = nullptr;
  block->next = head;
  if (head != nullptr) head->previous = block;
  head = block;
  orders |= 1u << block->order;
}

void BlockHeap::FreeBlocks::remove(BufferBlock* block) {
  BufferBlock*& head = first[block->order];
  (block->previous != nullptr ? block->previous->next : head) = block->next;
  if (block->next != nullptr) block->next->previous = block->previous;
  if (head == nullptr) orders &= ~(1u << block->order);
  block->free = false;
}

BufferBlock* BlockHeap::FreeBlocks::pop(unsigned order, unsigned order_max) {
  const std::uint32_t enough = orders >> order << order;
  if (enough == 0 || static_cast<unsigned>(std::countr_zero(enough)) > order_max) return nullptr;
  BufferBlock* block = first[static_cast<unsigned>(std::countr_zero(enough))];
  remove(block);
  return block;
}

BlockHeap::BlockHeap(PageSource pages, std::uint64_t bytes_max, BufferPoolState* pool)
    : pages_(pages), bytes_max_(bytes_max), pool_(pool) {}

BlockHeap::~BlockHeap() {
  while (!chunks_.empty()) remove_chunk(chunks_.back().get());
}

BufferBlock* BlockHeap::take(unsigned order) {
  BufferBlock* block = adopted_.pop(order, k_chunk_order);
  // The blocks beyond a chunk's size are never split.
  if (block == nullptr) block = own_.pop(order, std::max(order, k_chunk_order));
  if (block == nullptr) block = take_chunk(std::max(order, k_chunk_order));
  if (block == nullptr) return nullptr;
  const bool adopted = block->chunk->adopted;
  while (block->order > order) {
    --block->order;
    BufferBlock* upper = block + (std::size_t{1} << block->order);
    upper->order = block->order;
    free_blocks(adopted).push(upper);
  }
  block->capacity = capacity_of(order);
  if (!adopted) free_bytes_ -= block->capacity;
  ASAN_UNPOISON_MEMORY_REGION(block->data, block->capacity);
  return block;
}

BufferBlock* BlockHeap::take_chunk(unsigned order) {
  const std::uint64_t size = capacity_of(order);
  if (held_bytes_ + size > bytes_max_) return nullptr;
  auto* memory = static_cast<std::byte*>(pages_.take(size));
  if (memory == nullptr) return nullptr;
  held_bytes_ += size;
  free_bytes_ += size;
  return add_chunk(memory, order, -1, false)->blocks.data();
}

std::span<std::byte> BlockHeap::take_spare(std::uint64_t free_bytes_max) {
  if (((own_.orders | adopted_.orders) >> k_chunk_order & 1) != 0) return {};
  if (free_bytes_ + capacity_of(k_chunk_order) > free_bytes_max) return {};
  BufferBlock* spare = take_chunk(k_chunk_order);
  if (spare == nullptr) return {};
  own_.push(spare);
  return {spare->data, capacity_of(k_chunk_order)};
}

void BlockHeap::give(BufferBlock* block) {
  BufferChunk& chunk = *block->chunk;
  ASAN_POISON_MEMORY_REGION(block->data, block->capacity);
  if (!chunk.adopted) free_bytes_ += block->capacity;
  FreeBlocks& free = free_blocks(chunk.adopted);
  auto number = static_cast<std::size_t>(block - chunk.blocks.data());
  unsigned order = block->order;
  for (; order < chunk.order; ++order) {
    BufferBlock& buddy = chunk.blocks[number ^ (std::size_t{1} << order)];
    if (!buddy.free || buddy.order != order) break;
    free.remove(&buddy);
    number &= ~(std::size_t{1} << order);
  }
  chunk.blocks[number].order = static_cast<std::uint8_t>(order);
  free.push(&chunk.blocks[number]);
}

void BlockHeap::shrink_to(std::uint64_t bytes) {
  for (unsigned order = k_orders; order-- > k_chunk_order;) {
    while (free_bytes_ > bytes) {
      BufferBlock* whole = own_.pop(order, order);
      if (whole == nullptr) break;
      free_bytes_ -= capacity_of(order);
      held_bytes_ -= capacity_of(order);
      remove_chunk(whole->chunk);
    }
  }
}

void BlockHeap::adopt(std::span<std::byte> region, std::int32_t registered) {
  CHECK(reinterpret_cast<std::uintptr_t>(region.data()) % k_block_size == 0, "region at {}",
        static_cast<const void*>(region.data()));
  while (region.size() >= k_block_size) {
    const unsigned order =
        std::min(static_cast<unsigned>(std::bit_width(region.size())) - 1 - k_shift_min, k_chunk_order);
    adopted_.push(add_chunk(region.data(), order, registered, true)->blocks.data());
    region = region.subspan(capacity_of(order));
  }
}

BufferChunk* BlockHeap::add_chunk(std::byte* memory, unsigned order, std::int32_t registered, bool adopted) {
  auto chunk = std::make_unique<BufferChunk>();
  chunk->memory = memory;
  chunk->order = order;
  chunk->adopted = adopted;
  chunk->place = chunks_.size();
  chunk->blocks = std::vector<BufferBlock>(order > k_chunk_order ? 1 : std::size_t{1} << order);
  for (std::size_t i = 0; i < chunk->blocks.size(); ++i) {
    BufferBlock& block = chunk->blocks[i];
    block.data = memory + i * k_block_size;
    block.registered = registered;
    block.chunk = chunk.get();
    block.pool = pool_;
  }
  chunk->blocks[0].order = static_cast<std::uint8_t>(order);
  ASAN_POISON_MEMORY_REGION(memory, capacity_of(order));
  chunks_.push_back(std::move(chunk));
  return chunks_.back().get();
}

void BlockHeap::remove_chunk(BufferChunk* chunk) {
  ASAN_UNPOISON_MEMORY_REGION(chunk->memory, capacity_of(chunk->order));
  if (!chunk->adopted) pages_.give_back(chunk->memory, capacity_of(chunk->order));
  const std::size_t place = chunk->place;
  chunks_[place].swap(chunks_.back());
  chunks_[place]->place = place;
  chunks_.pop_back();
}

}  // namespace millrace
