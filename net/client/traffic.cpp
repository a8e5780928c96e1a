// Frames of one connection, in both directions.
#include <cstring>
#include <utility>
#include <vector>

#include "engine/wire/table.h"
#include "net/client/answers.h"
#include "net/client/connection.h"

namespace millrace {
namespace {

// Heads of frames, and payloads too small to be worth a range of their own, are copied side by side into one
// buffer.
constexpr std::uint32_t k_copied_payload_max = 4u << 10;
// What leaves in one operation, so that a later, small request does not wait for much more than this.
constexpr std::uint64_t k_send_size_max = 2u << 20;

}  // namespace

// What one send operation carries.
struct ClientConnection::Sending {
  Slices slices;
  std::vector<CallId> unanswered;  // done when it has ended
};

// Sends the waiting calls in order, as many at a time as fit, until the session breaks.
Task<void> ClientConnection::send_all(Session& session) {
  while (!session.broken) {
    const bool full = session.in_flight >= session.server.requests_in_flight_max;
    if (full || !calls_.first_waiting()) {
      co_await session.changed.wait();
      continue;
    }
    Sending sending = gather(session);
    if (sending.slices.count() == 0) continue;
    const auto sent = co_await reactor_.send(session.socket, std::move(sending.slices));
    if (!sent) {
      break_session(session, sent.error());
      break;
    }
    counters_.bytes_sent += *sent;
    for (const CallId id : sending.unanswered) {
      const CallTable::Call* call = calls_.find(id);
      if (call != nullptr && call->state == CallTable::State::sent) calls_.finish(id, CallAnswer{});
    }
  }
}

// Takes calls from the front of the queue. From then on they count as sent, whatever becomes of the
// operation.
ClientConnection::Sending ClientConnection::gather(Session& session) {
  const Buffer& staging = staging_;  // the send before has ended
  Sending sending;
  std::uint32_t begin = 0, end = 0;  // of the staged bytes that no slice holds yet
  const auto put_staged = [&] {
    if (end != begin) sending.slices.push({staging, begin, end - begin});
    begin = end;
  };
  while (sending.slices.count() + 2 < k_slices_max && sending.slices.length() < k_send_size_max &&
         session.in_flight < session.server.requests_in_flight_max) {
    const auto id = calls_.first_waiting();
    if (!id) break;
    const CallTable::Call& call = *calls_.find(*id);
    if (end + k_preamble_size + call.table.size() > k_staging_size) break;
    calls_.mark_sent(*id);
    if (call.request.kind == CallKind::connect) {
      calls_.finish(*id, CallAnswer{});
      continue;
    }
    const Slice payload = call.request.payload;
    end += encode_frame(number(call.request.type), id->number(), call.table, payload.length,
                        staging.bytes().subspan(end));
    ++counters_.requests;
    if (call.request.kind == CallKind::answered && session.in_flight++ == 0) session.asked = reactor_.now();
    if (call.request.kind == CallKind::unanswered) sending.unanswered.push_back(*id);
    if (payload.length <= k_copied_payload_max && end + payload.length <= k_staging_size) {
      if (payload.length != 0) std::memcpy(staging.data() + end, payload.bytes().data(), payload.length);
      end += payload.length;
    } else {
      put_staged();
      sending.slices.push(payload);
    }
  }
  put_staged();
  return sending;
}

Task<void> ClientConnection::receive_all(Self self, std::shared_ptr<Session> session) {
  while (!session->broken) {
    const std::uint64_t before = session->reader.bytes_received();
    auto frame = co_await session->reader.next();
    self->counters_.bytes_received += session->reader.bytes_received() - before;
    if (!frame) {
      self->break_session(*session, frame.error());
    } else {
      self->take_answer(*session, *std::move(frame));
    }
  }
  session->receiver_ended = true;
  session->changed.wake_all();
}

void ClientConnection::take_answer(Session& session, ReceivedFrame frame) {
  ++counters_.answers;
  // An error for no request of ours is about the connection: the server closes it.
  if (frame.preamble.correlation == 0 && frame.preamble.type == number(FrameType::error)) {
    const Result<void> said = check_answer(frame, FrameType::error);
    return break_session(
        session, {ErrorCode::connection_lost, fmt::format("the server ended it: {}", said.error().message)});
  }
  if (session.in_flight > 0) --session.in_flight;
  session.changed.wake_all();
  const CallId id = CallId::of(frame.preamble.correlation);
  const CallTable::Call* call = calls_.find(id);
  if (call == nullptr || call->state != CallTable::State::sent) {
    ++counters_.strays;
    return;
  }
  Result<void> answer = check_answer(frame, call->request.type);
  if (!answer) {
    calls_.finish(id, fail(std::move(answer).error()));
  } else {
    calls_.finish(id, CallAnswer{std::move(frame.table), std::move(frame.payload)});
  }
}

// Ends what was sent, whose outcome nobody can know any more, and both directions of the socket, so that
// sender and receiver end.
void ClientConnection::break_session(Session& session, Error error) {
  if (session.broken) return;
  session.broken = std::move(error);
  session.reader.stop();
  const std::string message =
      fmt::format("the connection to {} was lost before the answer ({}): the outcome is unknown",
                  to_string(options_.server), session.broken->message);
  calls_.end_each(CallTable::State::sent, [&](const CallTable::Call&) {
    return std::optional(Error{ErrorCode::connection_lost, message});
  });
  session.changed.wake_all();
  reactor_.spawn([](Reactor& reactor, Socket socket) -> Task<void> {
    static_cast<void>(co_await reactor.shutdown(std::move(socket)));
  }(reactor_, session.socket));
}

}  // namespace millrace
