// SendQueue: answers of one connection that wait to be sent.
//
// Small pieces are put behind each other in one block of memory, so that answers that are ready together
// leave in one send; large ones stay where they are and are only referred to. Holds no memory while it is
// empty.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/reactor/request.h"
#include "engine/reactor/ring_queue.h"

namespace millrace {

class SendQueue {
 public:
  explicit SendQueue(BufferPool& pool) : pool_(pool) {}

  // Room for `size` bytes at the end of the queue, for the caller to fill before anything else happens to it.
  // overloaded when the pool has no memory: the queue is as it was.
  [[nodiscard]] Result<std::span<std::byte>> append(std::uint32_t size);
  // Puts what is there at the end: up to k_send_copy_max bytes as a copy.
  [[nodiscard]] Result<void> append(Slice slice);

  // Takes what leaves next: up to k_slices_max ranges.
  [[nodiscard]] Slices take();
  void clear();
  [[nodiscard]] bool empty() const { return bytes_ == 0; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  BufferPool& pool_;
  RingQueue<Slice> slices_;
  Slice last_;  // the end of the queue, not yet in slices_: small pieces are still added to it
  std::uint64_t bytes_ = 0;
};

}  // namespace millrace
