// The slab of operations: whatever the kernel may still touch lives here and not in a coroutine's frame.
//
//   free --allocate--> in_flight --finish--> complete --take--> free
//                          |                    |
//                          +--abandon--> abandoned --finish--> free      (complete --abandon--> free)
#pragma once

#include <coroutine>
#include <cstdint>

#include "engine/reactor/chunked_array.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/request.h"

namespace millrace {

class OperationTable {
 public:
  enum class State : std::uint8_t { free, in_flight, abandoned, complete };
  struct Slot {
    Request request;
    Outcome outcome;
    std::coroutine_handle<> waiter;
    Ticket ticket = 0;             // of the waiter, once complete
    std::uint32_t generation = 0;  // rises at each release, so that a stale reference is seen
    std::uint32_t next_free = 0;
    State state = State::free;
  };

  // A slot in state in_flight with an empty request; allocates memory only when there are more operations
  // than ever before.
  [[nodiscard]] std::uint32_t allocate();
  // Lets go of what the slot holds and gives it back.
  void release(std::uint32_t slot);
  [[nodiscard]] Slot& operator[](std::uint32_t slot) { return slots_[slot]; }
  [[nodiscard]] Slot& checked(const reactor_detail::OperationRef& op);

  // Slots that are not free.
  [[nodiscard]] std::size_t used() const { return used_; }
  // Slots whose operation has not ended; finish() counts them down.
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  void ended() { --in_flight_; }

 private:
  static constexpr std::uint32_t k_none = UINT32_MAX;
  ChunkedArray<Slot> slots_;
  std::uint32_t first_free_ = k_none;
  std::size_t used_ = 0;
  std::size_t in_flight_ = 0;
};

}  // namespace millrace
