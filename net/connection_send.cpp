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
  const std::uint64_t before = queue_.bytes();
  bool queued = false;
  if (const auto room = queue_.append(head_size)) {
    encode_frame(type, correlation, table, payload_length, *room);
    queued = true;
    for (const Slice& slice : payload) queued = queued && queue_.append(slice);
  }
  context_.answer_bytes += queue_.bytes() - before;
  if (!queued) {
    // Half an answer may stand in the queue; nothing that is sent now could be understood.
    ++context_.counters.closed_no_memory;
    return abort();
  }
  start_sending();
}

void ServerConnection::send_error(std::uint64_t correlation, const Error& error,
                                  const ErrorDetails& details) {
  ++context_.counters.requests_failed;
  context_.builder.Clear();
  context_.builder.Finish(error_to_wire(context_.builder, error, details));
  send_answer(number(FrameType::error), correlation, {});
}

void ServerConnection::send_text(std::string_view text) {
  const auto room = queue_.append(static_cast<std::uint32_t>(text.size()));
  if (!room) return;
  std::memcpy(room->data(), text.data(), text.size());
  context_.answer_bytes += text.size();
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

Task<void> ServerConnection::send_once() {
  Slices slices = queue_.take();
  send_size_ = slices.length();
  send_started_ = reactor_.now();
  const auto sent = co_await reactor_.send(socket_, std::move(slices));
  context_.answer_bytes -= std::exchange(send_size_, 0);
  if (!sent) {
    lose();
    co_return;
  }
  ++context_.counters.sends;
  context_.counters.send_bytes += *sent;
  last_activity_ = reactor_.now();
  context_.latencies.reply.record(last_activity_ - send_started_);
  changed_.wake_all();
}

Task<bool> ServerConnection::promise_answer(std::uint64_t bytes) {
  const auto room = [&] {
    const std::uint64_t waiting = promised_ + bytes_waiting();
    return waiting == 0 || waiting + bytes <= context_.options.send_queue_max;
  };
  while (!room() && !broken_) co_await changed_.wait();
  if (broken_) co_return false;
  promised_ += bytes;
  co_return true;
}

void ServerConnection::release_promise(std::uint64_t bytes) {
  promised_ -= bytes;
  changed_.wake_all();
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
  connection_.send_error(correlation_, error, details);
}

}  // namespace millrace
