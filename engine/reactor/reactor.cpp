#include "engine/reactor/reactor.h"

#include <utility>

#include "engine/base/check.h"
#include "engine/reactor/errno_table.h"
#include "engine/reactor/operation_table.h"
#include "engine/reactor/scheduler.h"

namespace millrace {

using State = OperationTable::State;

namespace {

// The flag of the socket that says that this operation moves its bytes, or nothing.
bool* direction_of(Request& request) {
  switch (request.verb) {
    case Verb::receive:
      return &request.handle.state()->receiving;
    case Verb::send:
      return &request.handle.state()->sending;
    case Verb::transfer:
      return &request.other.state()->sending;
    default:
      return nullptr;
  }
}

Task<void> run_message(Reactor& reactor, Message message) {
  message(reactor);
  co_return;
}

}  // namespace

Reactor::Reactor(ShardId shard, std::uint32_t shard_count, BufferPool::Options buffers, LogSink sink)
    : shard_(shard),
      shard_count_(shard_count),
      buffers_(std::make_unique<BufferPool>(buffers)),
      sink_(std::move(sink)),
      operations_(std::make_unique<OperationTable>()),
      scheduler_(std::make_unique<Scheduler>()) {}

Reactor::~Reactor() {
  CHECK(scheduler_->youngest == nullptr, "the backend has left tasks behind");
  CHECK(operations_->used() == 0, "{} operations outlive their reactor", operations_->used());
}

void Reactor::log(LogLevel level, const std::string& line) {
  if (sink_) sink_(level, shard_, wall_clock(), line);
}

// ---- running things -----------------------------------------------------------------------------

void Reactor::spawn(Task<void> task) {
  scheduler_->spawn(std::move(task));
}
Ticket Reactor::schedule(std::coroutine_handle<> handle) {
  return scheduler_->schedule(handle);
}
Ticket Reactor::schedule_yielded(std::coroutine_handle<> handle) {
  return scheduler_->schedule_yielded(handle);
}
void Reactor::unschedule(Ticket ticket) {
  scheduler_->unschedule(ticket);
}
bool Reactor::run_ready() {
  return scheduler_->run();
}
void Reactor::destroy_tasks() {
  scheduler_->destroy_tasks();
}

void Reactor::run_later(Message message) {
  ++counters_.messages;
  spawn(run_message(*this, std::move(message)));
}

// ---- the life of an operation -------------------------------------------------------------------

Request& Reactor::request(std::uint32_t slot) {
  return (*operations_)[slot].request;
}
std::size_t Reactor::operations_in_flight() const {
  return operations_->in_flight();
}

void Reactor::finish(std::uint32_t index, Outcome outcome) {
  auto& slot = (*operations_)[index];
  CHECK(slot.state == State::in_flight || slot.state == State::abandoned, "operation {} ends twice", index);
  operations_->ended();
  if (slot.state == State::abandoned) {
    slot.outcome = std::move(outcome);  // a file that nobody will take is closed by the release
    operations_->release(index);
    return;
  }
  if (bool* moving = direction_of(slot.request)) *moving = false;
  slot.state = State::complete;
  slot.outcome = std::move(outcome);
  slot.request.slices.clear();
  if (slot.waiter) slot.ticket = schedule(slot.waiter);
}

namespace reactor_detail {

bool is_complete(const OperationRef& op) {
  return op.reactor->operations_->checked(op).state == State::complete;
}

void set_waiter(const OperationRef& op, std::coroutine_handle<> waiter) {
  auto& slot = op.reactor->operations_->checked(op);
  CHECK(!slot.waiter, "operation {} is awaited twice", op.slot);
  slot.waiter = waiter;
}

Result<Outcome> take(const OperationRef& op) {
  OperationTable& table = *op.reactor->operations_;
  auto& slot = table.checked(op);
  CHECK(slot.state == State::complete, "operation {} has not ended", op.slot);
  Outcome outcome = std::move(slot.outcome);
  if (outcome.error == 0) {
    table.release(op.slot);
    return outcome;
  }
  Error error = error_of(slot.request, outcome.error);
  table.release(op.slot);
  return fail(std::move(error));
}

void abandon(const OperationRef& op) {
  OperationTable& table = *op.reactor->operations_;
  auto& slot = table.checked(op);
  if (slot.state == State::complete) {
    if (slot.ticket != 0) op.reactor->unschedule(slot.ticket);
    table.release(op.slot);
    return;
  }
  if (bool* moving = direction_of(slot.request)) *moving = false;
  slot.state = State::abandoned;
  slot.waiter = {};
  op.reactor->cancel(op.slot);
}

template <>
std::uint64_t convert(Outcome&& outcome) {
  return outcome.count;
}
template <>
File convert(Outcome&& outcome) {
  return File(outcome.handle.state());
}
template <>
Socket convert(Outcome&& outcome) {
  return Socket(outcome.handle.state());
}
template <>
std::vector<FolderEntry> convert(Outcome&& outcome) {
  return std::move(outcome.entries);
}

}  // namespace reactor_detail
}  // namespace millrace
