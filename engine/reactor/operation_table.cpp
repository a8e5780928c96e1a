#include "engine/reactor/operation_table.h"

#include "engine/base/check.h"

namespace millrace {

std::uint32_t OperationTable::allocate() {
  if (first_free_ == k_none) {
    const std::uint32_t begin = slots_.size();
    slots_.grow();
    for (std::uint32_t i = slots_.size(); i-- > begin;) {
      slots_[i].next_free = first_free_;
      first_free_ = i;
    }
  }
  const std::uint32_t index = first_free_;
  Slot& slot = slots_[index];
  first_free_ = slot.next_free;
  slot.state = State::in_flight;
  ++used_;
  ++in_flight_;
  return index;
}

void OperationTable::release(std::uint32_t index) {
  Slot& slot = slots_[index];
  CHECK(slot.state != State::free, "slot {}", index);
  // Letting go of the last handle calls into the backend, so the slot is not yet free while that happens.
  slot.request.reset();
  slot.outcome = Outcome{};
  slot.waiter = {};
  slot.ticket = 0;
  ++slot.generation;
  slot.state = State::free;
  slot.next_free = first_free_;
  first_free_ = index;
  --used_;
}

OperationTable::Slot& OperationTable::checked(const reactor_detail::OperationRef& op) {
  Slot& slot = slots_[op.slot];
  CHECK(slot.generation == op.generation, "operation {} is of generation {}, not {}", op.slot,
        slot.generation, op.generation);
  return slot;
}

}  // namespace millrace
