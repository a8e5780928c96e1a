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

// One block. Only BufferPool makes and frees it.
struct BufferBlock {
  std::byte* data = nullptr;
  std::uint32_t capacity = 0;
  std::uint8_t size_class = 0;
  // Of the region that the pool adopted: never given back to the system.
  bool adopted = false;
  // Index of the registered memory that contains the block, or -1: a hint for the ring.
  std::int32_t registered = -1;
  std::atomic<std::uint32_t> references{0};
  BufferPoolState* pool = nullptr;
  BufferBlock* next_free = nullptr;
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

// A shard's memory for staging and receiving: power-of-two classes from 4 KiB to 16 MiB. Blocks in use are
// bounded by `bytes_max`; freed blocks are kept for reuse up to `idle_bytes_max` and then given back to the
// system, so that an idle shard holds little. acquire() is for the owning shard alone; letting go of a Buffer
// is allowed anywhere. The pool may be destroyed while buffers are out: they free themselves then.
class BufferPool {
 public:
  struct Options {
    std::uint64_t bytes_max = 0;
    std::uint64_t idle_bytes_max = 0;
  };
  explicit BufferPool(Options options);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // A buffer of at least `size` bytes, content undefined. Errors: overloaded at bytes_max; invalid_argument
  // above the largest class.
  [[nodiscard]] Result<Buffer> acquire(std::uint64_t size);

  // Bytes of blocks now out, and the most there ever were.
  [[nodiscard]] std::uint64_t bytes_in_use() const;
  [[nodiscard]] std::uint64_t bytes_in_use_max() const;
  // Bytes of the system's memory kept for reuse; at most `idle_bytes_max`, whatever happens when.
  [[nodiscard]] std::uint64_t idle_bytes() const;

  // Hands the pool one region of memory, registered with the ring under `registered`, to carve blocks of up
  // to 1 MiB from before it asks the system; reused blocks of it come first, too. At most once. The region is
  // aligned to k_block_size and must outlive every buffer; its bytes do not count towards `idle_bytes_max`.
  void adopt(std::span<std::byte> region, std::int32_t registered);

 private:
  BufferPoolState* state_;
};

}  // namespace millrace
