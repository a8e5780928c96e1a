// Buffers: blocks of aligned memory from a shard's pool, shared by reference.
//
// The kernel, a socket, the log's memory and a slow reader may all hold the same block; it goes back to its
// pool when the last of them lets go, from whatever shard that happens on. A Slice is a range of one buffer
// together with the reference that keeps it alive: what verbs of the reactor take instead of a span.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "engine/base/error.h"

namespace millrace {

struct BufferPoolState;
struct BufferChunk;

// What a block is for. The reserve is for whoever frees memory by using some: were it not set aside, a pool
// full of what waits to be written could not write it. What sockets are received into is counted apart, until
// the last who refers to it lets go.
enum class PoolPart : std::uint8_t { common, receive, reserve };

// One block. Only BlockHeap makes and frees it.
struct BufferBlock {
  std::byte* data = nullptr;
  std::uint32_t capacity = 0;
  // Index of the registered memory that contains the block, or -1: a hint for the ring.
  std::int32_t registered = -1;
  std::atomic<std::uint32_t> references{0};
  std::uint8_t order = 0;
  bool free = false;
  PoolPart part = PoolPart::common;
  BufferPoolState* pool = nullptr;
  BufferChunk* chunk = nullptr;
  BufferBlock* next = nullptr;  // of those that are free, or on their way home
  BufferBlock* previous = nullptr;
};

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(BufferBlock* block) : block_(block) { retain(); }
  Buffer(const Buffer& other) : block_(other.block_) { retain(); }
  Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Buffer() { release(); }

  explicit operator bool() const { return block_ != nullptr; }
  // Aligned to k_block_size (4 KiB).
  [[nodiscard]] std::byte* data() const { return block_->data; }
  [[nodiscard]] std::uint32_t capacity() const { return block_->capacity; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {block_->data, block_->capacity}; }
  [[nodiscard]] const BufferBlock* block() const { return block_; }

 private:
  void retain() const {
    if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  void release() const {
    if (block_ == nullptr) return;
    if (block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) give_back(block_);
  }
  static void give_back(BufferBlock* block);
  BufferBlock* block_ = nullptr;
};

// A range of a buffer, and the reference that keeps it.
struct Slice {
  Buffer buffer;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  [[nodiscard]] std::span<const std::byte> bytes() const { return {buffer.data() + offset, length}; }
};

// Where a pool gets its memory: `bytes` aligned to 4 KiB, or null. By default operator new and delete.
struct PageSource {
  static void* take_from_heap(std::size_t bytes);
  static void give_to_heap(void* memory, std::size_t bytes);
  void* (*take)(std::size_t bytes) = take_from_heap;
  void (*give_back)(void* memory, std::size_t bytes) = give_to_heap;
};

// A shard's memory for staging and receiving: blocks of a power of two from 4 KiB to 16 MiB, from a
// BlockHeap. Blocks in use are bounded by `bytes_max`; what is free beyond `idle_bytes_max` is given back to
// the system as far as it makes whole chunks (2 MiB), so that an idle shard holds little. acquire() and
// collect() are for the owning shard alone; letting go of a Buffer is allowed anywhere. The pool may be
// destroyed while buffers are out: the last of them frees the memory.
class BufferPool {
 public:
  struct Options {
    std::uint64_t bytes_max = 0;
    std::uint64_t idle_bytes_max = 0;
    PageSource pages{};
    // Of bytes_max: kept for PoolPart::reserve. Requests of up to 1 MiB find it whole.
    std::uint64_t reserve_bytes = 0;
  };
  explicit BufferPool(Options options);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // A buffer of at least `size` bytes, content undefined. Errors: overloaded at the bound (bytes_max, or
  // what the reserve leaves of it to the other parts); invalid_argument above 16 MiB.
  [[nodiscard]] Result<Buffer> acquire(std::uint64_t size, PoolPart part = PoolPart::common);

  // The capacity of the buffer that acquire(size) gives; size at most 16 MiB.
  [[nodiscard]] static std::uint32_t capacity_for(std::uint64_t size);
  // Whether the buffer is one of this pool's.
  [[nodiscard]] bool owns(const Buffer& buffer) const { return buffer.block()->pool == state_; }

  // Takes home the blocks that were let go, and gives the system what is free beyond `idle_bytes_max`.
  // acquire() does so, too; a reactor calls it before it sleeps.
  void collect();

  // The system provides memory when it is touched for the first time, which takes milliseconds for a chunk of
  // 2 MiB in some virtual machines. So one chunk is to be free as a whole before it is needed: where there is
  // none, this takes one from the system, within the bounds, and returns it, for the owner to have it
  // provided in the background. Else empty. The memory may be in use, or given back, before that is done.
  [[nodiscard]] std::span<std::byte> take_spare();

  // Bytes of blocks now out, and the most there ever were.
  [[nodiscard]] std::uint64_t bytes_in_use() const;
  [[nodiscard]] std::uint64_t bytes_in_use_max() const;
  // Of them, those of PoolPart::receive.
  [[nodiscard]] std::uint64_t receive_bytes_in_use() const;
  // Bytes of the system's memory held and free, as of the last collect().
  [[nodiscard]] std::uint64_t idle_bytes() const;

  // Hands the pool one region of memory, registered with the ring under `registered`, to take blocks of up to
  // 2 MiB from first. At most once. The region is aligned to k_block_size and must outlive every buffer; its
  // bytes do not count towards `idle_bytes_max`.
  void adopt(std::span<std::byte> region, std::int32_t registered);

 private:
  BufferPoolState* state_;
};

}  // namespace millrace
