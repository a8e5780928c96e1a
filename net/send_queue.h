// SendQueue: answers of one connection that wait to be sent.
//
// Small pieces are put behind each other in one block of memory, so that answers that are ready together
// leave in one send; large ones stay where they are and are only referred to, unless they are a small part of
// a buffer, which would be held for them. What is copied and larger than the block has memory of its own. So
// the memory that a queue holds is at most twice what it counts.
// Holds none while it is empty.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/reactor/request.h"
#include "net/answer_memory.h"

namespace millrace {

class SendQueue {
 public:
  explicit SendQueue(AnswerMemory& memory) : memory_(memory) {}
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;
  ~SendQueue() { clear(); }

  // Room for `size` bytes at the end of the queue, for the caller to fill before anything else happens to it.
  // overloaded when the pool has no memory: the queue is as it was.
  [[nodiscard]] Result<std::span<std::byte>> append(std::uint32_t size);
  // Puts what is there at the end. overloaded: a part of it may stand there.
  [[nodiscard]] Result<void> append(std::span<const Slice> slices);

  // What leaves next: up to k_slices_max ranges, and up to `bytes_max`. They stay in the queue until sent().
  [[nodiscard]] Slices next(std::uint64_t bytes_max);
  // The first `bytes` have left.
  void sent(std::uint64_t bytes);
  void clear();
  [[nodiscard]] bool empty() const { return bytes_ == 0; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  [[nodiscard]] Result<void> add(const Slice& slice, bool refer);
  void put(Slice slice);
  void settle();
  void drop_first();
  void count();

  AnswerMemory& memory_;
  std::vector<Slice> slices_;  // from first_ on
  std::size_t first_ = 0;
  std::uint32_t first_sent_ = 0;  // bytes of slices_[first_] that have left
  Slice last_;  // the end of the queue, not yet in slices_: small pieces are still added to it
  std::uint64_t bytes_ = 0;
  std::uint64_t counted_ = 0;  // of memory_.held
};

}  // namespace millrace
