#include "net/client/call_table.h"

#include "engine/base/check.h"

namespace millrace {

CallId CallTable::open(CallRequest request, std::span<const std::byte> table) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(calls_.size()));
    calls_.emplace_back();
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  Call& call = calls_[slot];
  call.state = State::waiting;
  call.request = std::move(request);
  call.started = reactor_.now();
  call.table.assign(table.begin(), table.end());
  const CallId id{slot, call.generation};
  waiting_.push_back(id);
  return id;
}

void CallTable::release(CallId id) {
  Call* call = find(id);
  CHECK(call != nullptr, "call {} is released twice", id.slot);
  if (call->ticket != 0) reactor_.unschedule(call->ticket);
  call->state = State::free;
  ++call->generation;
  call->request = {};
  call->result.reset();
  call->waiter = {};
  call->ticket = 0;
  free_.push_back(id.slot);
}

CallTable::Call* CallTable::find(CallId id) {
  if (id.slot >= calls_.size()) return nullptr;
  Call& call = calls_[id.slot];
  return call.generation == id.generation && call.state != State::free ? &call : nullptr;
}

void CallTable::finish(CallId id, Result<CallAnswer> result) {
  Call* call = find(id);
  CHECK(call != nullptr && call->state != State::done, "call {} ends twice", id.slot);
  call->state = State::done;
  call->result = std::move(result);
  call->request.payload = {};
  if (call->waiter) call->ticket = reactor_.schedule(std::exchange(call->waiter, {}));
}

std::optional<CallId> CallTable::first_waiting() {
  while (!waiting_.empty()) {
    const CallId id = waiting_.front();
    const Call* call = find(id);
    if (call != nullptr && call->state == State::waiting) return id;
    waiting_.pop_front();
  }
  return std::nullopt;
}

void CallTable::mark_sent(CallId id) {
  Call* call = find(id);
  CHECK(call != nullptr && call->state == State::waiting, "call {} is sent twice", id.slot);
  call->state = State::sent;
  call->sent = reactor_.now();
}

}  // namespace millrace
