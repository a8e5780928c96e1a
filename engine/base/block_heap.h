// BlockHeap: memory in chunks of 2 MiB, split into blocks and merged again: the buddy system (Knuth, The Art
// of Computer Programming, volume 1, section 2.5).
//
// Why not malloc: a chunk can be one huge page. A direct write of 1 MiB from it takes 0.7 times as long as
// from 256 pages of 4 KiB, which the kernel must pin and the device must be told of one by one; and a block
// that is split off a chunk in use costs no page fault.
//
// Nothing in here is safe to share: it belongs to one shard's BufferPool.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/buffer.h"

namespace millrace {

class BlockHeap {
 public:
  static constexpr unsigned k_shift_min = 12;  // blocks of order 0 have 4 KiB
  static constexpr unsigned k_chunk_order = 9;
  static constexpr unsigned k_orders = 13;  // up to 16 MiB; beyond 2 MiB a block is a chunk of its own

  static constexpr std::uint32_t capacity_of(unsigned order) { return 1u << (k_shift_min + order); }
  // The order of the smallest block that holds `size` bytes; k_orders or more if there is none.
  static unsigned order_of(std::uint64_t size);

  // Holds `bytes_max` of the system's memory at most. Blocks name `pool` as their owner.
  BlockHeap(PageSource pages, std::uint64_t bytes_max, BufferPoolState* pool);
  BlockHeap(const BlockHeap&) = delete;
  BlockHeap& operator=(const BlockHeap&) = delete;
  // Blocks that are out go with their chunks.
  ~BlockHeap();

  // Null at bytes_max, and when the system has no memory.
  [[nodiscard]] BufferBlock* take(unsigned order);
  void give(BufferBlock* block);
  // Gives chunks that are free as a whole back to the system, largest first, while more than `bytes` are
  // free.
  void shrink_to(std::uint64_t bytes);
  // Bytes of the system's memory that are held and free.
  [[nodiscard]] std::uint64_t free_bytes() const { return free_bytes_; }

  // See BufferPool::take_spare().
  [[nodiscard]] std::span<std::byte> take_spare(std::uint64_t free_bytes_max);

  // See BufferPool::adopt().
  void adopt(std::span<std::byte> region, std::int32_t registered);

 private:
  // The free blocks of each order, the one that was used last in front.
  struct FreeBlocks {
    std::array<BufferBlock*, k_orders> first{};
    std::uint32_t orders = 0;  // bit n: there are some of order n

    void push(BufferBlock* block);
    void remove(BufferBlock* block);
    // Of the lowest order from `order` to `order_max`; null if there is none.
    BufferBlock* pop(unsigned order, unsigned order_max);
  };

  BufferChunk* add_chunk(std::byte* memory, unsigned order, std::int32_t registered, bool adopted);
  // A chunk of the system's memory, free as a whole and in no list. Null at bytes_max, and when there is
  // none.
  BufferBlock* take_chunk(unsigned order);
  void remove_chunk(BufferChunk* chunk);
  FreeBlocks& free_blocks(bool adopted) { return adopted ? adopted_ : own_; }

  PageSource pages_;
  std::uint64_t bytes_max_;
  BufferPoolState* pool_;
  std::vector<std::unique_ptr<BufferChunk>> chunks_;
  FreeBlocks own_;
  FreeBlocks adopted_;
  std::uint64_t held_bytes_ = 0;
  std::uint64_t free_bytes_ = 0;
};

}  // namespace millrace
