// The half of ServerConnection that sends.
#include <cstring>
#include <utility>

#include "engine/wire/table.h"
#include "net/connection.h"
#include "net/reply.h"

namespace millrace {

void ServerConnection::send_answer(std::uint8_t type, std::uint64_t correlation,
                                   std::span<const Slice> payload) {
  if (broken_) return;
  const auto table = table_bytes(context_.builder);
  std::uint32_t payload_length = 0;
  for (const Slice& slice : payload) payload_length += slice.length;
  const auto head_size = static_cast<std::uint32_t>(k_preamble_size + table.size());
  bool queued = false;
  if (const auto room = queue_.append(head_size)) {
    encode_frame(type, correlation, table, payload_length, *room);
    queued = true;
    queued = queue_.append(payload).has_value();
  }
  if (!queued) {
    // Half an answer may stand in the queue; nothing that is sent now could be understood.
    ++context_.counters.closed_no_memory;
    return abort();
  }
  start_sending();
  if (context_.answers.is_overfull()) context_.shed();
}

void ServerConnection::fail_request(std::uint64_t correlation, const Error& error,
                                    const ErrorDetails& details) {
  ++(is_of_the_caller(error.code) ? context_.counters.requests_wrong : context_.counters.requests_failed);
  send_error(correlation, error, details);
}

void ServerConnection::send_error(std::uint64_t correlation, const Error& error,
                                  const ErrorDetails& details) {
  context_.builder.Clear();
  context_.builder.Finish(error_to_wire(context_.builder, error, details));
  send_answer(number(FrameType::error), correlation, {});
}

void ServerConnection::send_text(std::string_view text) {
  const auto room = queue_.append(static_cast<std::uint32_t>(text.size()));
  if (!room) return;
  std::memcpy(room->data(), text.data(), text.size());
  start_sending();
}

// The task begins behind everything that is about to run, so that what gets ready together leaves together.
void ServerConnection::start_sending() {
  if (sending_) return;
  sending_ = true;
  send_started_ = reactor_.now();
  reactor_.spawn(send_all(shared_from_this()));
}

Task<void> ServerConnection::send_all(Self self) {
  while (!self->queue_.empty() && !self->broken_) co_await self->send_once();
  self->sending_ = false;
  self->changed_.wake_all();
  self->finish_if_drained();
}

// While memory is short, in smaller steps: so it shows sooner who takes nothing.
Task<void> ServerConnection::send_once() {
  Slices slices = queue_.next(context_.answers.is_short() ? k_pressed_step : k_answer_send_max);
  send_size_ = slices.length();
  send_started_ = reactor_.now();
  const auto sent = co_await reactor_.send(socket_, std::move(slices));
  if (!sent) {
    lose();
    co_return;
  }
  if (broken_) co_return;
  queue_.sent(*sent);
  ++context_.counters.sends;
  context_.counters.send_bytes += *sent;
  last_activity_ = reactor_.now();
  context_.latencies.reply.record(last_activity_ - send_started_);
  changed_.wake_all();
  context_.answers.freed.wake_all();
}

// See AnswerMemory.
bool ServerConnection::may_promise(std::uint64_t bytes) const {
  const AnswerMemory& answers = context_.answers;
  const std::uint64_t own = promised_ + bytes_waiting();
  if (own == 0) return answers.may_promise(bytes) || answers.all() == 0;
  return own + bytes <= context_.options.send_queue_max && answers.all() + bytes <= answers.most / 2;
}

bool ServerConnection::try_promise(std::uint64_t bytes) {
  if (!may_promise(bytes)) return false;
  promised_ += bytes;
  context_.answers.promised += bytes;
  return true;
}

Task<bool> ServerConnection::promise_answer(std::uint64_t bytes) {
  if (broken_) co_return false;
  if (!promising_.locked() && !context_.answers.first.locked() && try_promise(bytes)) co_return true;
  if (!promising_.try_lock()) co_await promising_.lock();
  bool given = false;
  while (!broken_ && !given) {
    if (promised_ + bytes_waiting() == 0) {
      given = co_await promise_first(bytes);
    } else if (given = try_promise(bytes); !given) {
      // What it has comes to an end, or it does.
      co_await changed_.wait();
    }
  }
  promising_.unlock();
  co_return given;
}

// False: the connection has ended, or has something to send after all.
Task<bool> ServerConnection::promise_first(std::uint64_t bytes) {
  AnswerMemory& answers = context_.answers;
  if (!answers.first.try_lock()) co_await answers.first.lock();
  while (!broken_ && promised_ + bytes_waiting() == 0 && !may_promise(bytes)) {
    answers.wanted = bytes;
    context_.pressed.wake_all();
    co_await answers.freed.wait();
  }
  answers.wanted = 0;
  const bool given = !broken_ && try_promise(bytes);
  answers.first.unlock();
  co_return given;
}

void ServerConnection::release_promise(std::uint64_t bytes) {
  promised_ -= bytes;
  context_.answers.promised -= bytes;
  changed_.wake_all();
  context_.answers.freed.wake_all();
}

// In the queue of all connections stands only one who has nothing to send: otherwise those with many answers
// would be ahead of everybody.
Task<bool> ServerConnection::wait_for_room() {
  AnswerMemory& answers = context_.answers;
  const auto waits = [&] { return !broken_ && answers.is_full(); };
  while (waits()) {
    if (bytes_waiting() != 0) {
      co_await changed_.wait();
      continue;
    }
    if (!answers.small.try_lock()) co_await answers.small.lock();
    while (waits() && bytes_waiting() == 0) {
      context_.pressed.wake_all();
      co_await answers.freed.wait();
    }
    answers.small.unlock();
  }
  co_return !broken_;
}

// ---- Reply

ShardContext& Reply::context() const {
  return connection_.context();
}

flatbuffers::FlatBufferBuilder& Reply::builder_in_use() const {
  return context().builder;
}

flatbuffers::FlatBufferBuilder& Reply::builder() const {
  context().builder.Clear();
  return context().builder;
}

void Reply::send_built(std::span<const Slice> payload) const {
  connection_.send_answer(answer_to(type_), correlation_, payload);
}

void Reply::fail(const Error& error, const ErrorDetails& details) const {
  connection_.fail_request(correlation_, error, details);
}

}  // namespace millrace
