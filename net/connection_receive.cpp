// The half of ServerConnection that receives.
#include <string>
#include <utility>

#include "net/connection.h"

namespace millrace {

Task<void> ServerConnection::receive_requests() {
  InboundFrame frame;
  while (!ending_) {
    if (at_a_bound() && !co_await wait_below_bounds()) co_return;
    const auto step = reader_.parse(frame, greeted_ ? context_.options.frame_size_max : k_hello_size_max);
    if (!step) co_return refuse_stream(step.error());
    if (*step == RequestReader::Step::more) {
      frame = {};
      if (!co_await receive_more()) co_return;
      continue;
    }
    if (*step == RequestReader::Step::payload) {
      if (!co_await take_payload(frame)) co_return;
      frame = {};
      continue;
    }
    take(std::exchange(frame, {}), {});
  }
}

Task<bool> ServerConnection::receive_more() {
  const auto received = co_await reader_.receive();
  if (received && *received != 0) {
    if (greeted_) last_activity_ = reactor_.now();
    co_return true;
  }
  if (!received && received.error().code == ErrorCode::overloaded) {
    ++context_.counters.closed_no_memory;
    close_with(received.error());
  } else if (!received) {
    lose();
  }
  co_return false;
}

// What can be refused before its payload is received.
Result<void> ServerConnection::may_take(const InboundFrame& frame) const {
  if (frame.preamble.type != number(FrameType::produce)) {
    return fail(ErrorCode::protocol_error, "a payload of {} bytes with a frame of type {}, which has none",
                frame.preamble.payload_length, frame.preamble.type);
  }
  if (frame.preamble.payload_length > k_batch_size_max) {
    return fail(ErrorCode::record_too_large, "a batch of {} bytes; at most {} are taken",
                frame.preamble.payload_length, k_batch_size_max);
  }
  if (context_.stopping) return fail(ErrorCode::shutting_down, "the server is stopping; ask again later");
  return {};
}

// A small payload never waits for memory that large ones have.
Task<bool> ServerConnection::take_payload(InboundFrame& frame) {
  if (auto allowed = may_take(frame); !allowed) co_return co_await refuse_payload(frame, allowed.error());
  const std::uint32_t length = frame.preamble.payload_length;
  const std::uint32_t size = RequestReader::payload_buffer_size(length);
  MemoryBudget& budget = length >= k_direct_size_min ? context_.large_requests : context_.small_requests;
  BudgetShare share;
  if (budget.has(size)) {
    share = budget.take_now(size);
  } else {
    holding_ = true;
    ++context_.counters.reading_paused;
    context_.pressed.wake_all();
    share = co_await budget.take(size);
    holding_ = false;
    reader_.restart_clock();
  }
  auto buffer = reactor_.buffers().acquire(size);
  if (!buffer) {
    ++context_.counters.refused_requests;
    co_return co_await refuse_payload(frame, buffer.error());
  }
  auto payload = co_await reader_.receive_payload(length, *std::move(buffer));
  if (!payload) {
    lose();
    co_return false;
  }
  frame.payload = *std::move(payload);
  take(std::move(frame), std::move(share));
  co_return true;
}

Task<bool> ServerConnection::refuse_payload(const InboundFrame& frame, const Error& error) {
  refuse(frame, error);
  const auto skipped = co_await reader_.skip_payload(frame.preamble.payload_length);
  last_activity_ = reactor_.now();
  if (!skipped) lose();
  co_return skipped.has_value();
}

bool ServerConnection::at_a_bound() const {
  // Small answers and errors are not promised: who does not take them is asked for no more while they are
  // short of memory.
  return in_flight_ >= context_.options.requests_in_flight_max ||
         bytes_waiting() > context_.options.send_queue_max ||
         (context_.answers.is_short() && bytes_waiting() > k_block_size);
}

Task<bool> ServerConnection::wait_below_bounds() {
  ++context_.counters.reading_paused;
  holding_ = true;
  while (at_a_bound() && !ending_) co_await changed_.wait();
  holding_ = false;
  co_return !ending_;
}

void ServerConnection::refuse_stream(const Error& error) {
  ++context_.counters.closed_bad_frame;
  const auto stranger = recognise_stranger(reader_.unparsed());
  if (stranger == Stranger::tls) ++context_.counters.closed_tls;
  if (stranger == Stranger::http) ++context_.counters.closed_http;
  if (stranger == Stranger::kafka) ++context_.counters.closed_kafka;
  context_.log_seldom(LogLevel::warning, fmt::format("{}: closed: {}", peer_, error.message));
  if (stranger == Stranger::http) {
    send_text(
        fmt::format("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n"
                    "Connection: close\r\n\r\n{}\n",
                    error.message.size() + 1, error.message));
  } else {
    send_error(0, error, {});
  }
}

}  // namespace millrace
