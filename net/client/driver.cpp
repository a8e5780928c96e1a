// Making connections, one after another.
#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/reactor/wait_until.h"
#include "engine/wire/protocol_generated.h"
#include "engine/wire/table.h"
#include "engine/wire/wire_id.h"
#include "net/client/answers.h"
#include "net/client/connection.h"

namespace millrace {
namespace {

// Whether the peer will say the same the next time: it is no server of ours, or not the one we look for.
bool is_refusal(ErrorCode code) {
  return code == ErrorCode::unsupported_version || code == ErrorCode::protocol_error ||
         code == ErrorCode::frame_too_large || code == ErrorCode::wrong_folder ||
         code == ErrorCode::invalid_argument;
}

}  // namespace

// Runs while there is work: from the first call until the client is closed or nobody holds it any more.
Task<void> ClientConnection::drive(Self self) {
  ClientConnection& me = *self;
  while (!me.closed_ && me.calls_.first_waiting()) {
    auto session = co_await me.establish();
    if (me.closed_) break;
    if (!session) {
      ++me.counters_.connect_failures;
      co_await me.rest_after(session.error());
      continue;
    }
    ++me.counters_.connects;
    me.backoff_ = Duration::zero();
    me.last_failure_.reset();
    me.session_ = *session;
    me.reactor_.spawn(receive_all(self, *session));
    co_await me.send_all(**session);
    while (!(*session)->receiver_ended) co_await (*session)->changed.wait();
    me.session_over(**session);
  }
  me.driving_ = false;
}

Task<Result<std::shared_ptr<ClientConnection::Session>>> ClientConnection::establish() {
  const MonotonicTime deadline = reactor_.now() + options_.connect_timeout;
  if (!staging_) {
    CO_TRY(staging_, reactor_.buffers().acquire(k_staging_size));
  }
  if (!receive_) {
    CO_TRY(receive_, reactor_.buffers().acquire(FrameReader::k_buffer_size));
  }
  CO_TRY(Socket socket, co_await reactor_.connect(options_.server, deadline));
  auto session = std::make_shared<Session>(reactor_, std::move(socket), &receive_);
  CO_TRY_VOID(co_await greet(*session, deadline));
  co_return session;
}

Task<Result<void>> ClientConnection::greet(Session& session, MonotonicTime deadline) {
  flatbuffers::FlatBufferBuilder& fields = builder();
  const auto client = fields.CreateString(options_.name);
  const wire::Id cluster = options_.cluster ? to_wire(*options_.cluster) : wire::Id();
  fields.Finish(wire::CreateHello(fields, k_protocol_version, k_protocol_version, 0, client,
                                  options_.cluster ? &cluster : nullptr));
  const std::uint32_t length =
      encode_frame(number(FrameType::hello), 0, table_bytes(fields), 0, staging_.bytes());
  CO_TRY(const std::uint64_t sent,
         co_await reactor_.send(session.socket, Slice{staging_, 0, length}, deadline));
  counters_.bytes_sent += sent;
  CO_TRY(const ReceivedFrame frame, co_await session.reader.next(deadline));
  CO_TRY_VOID(check_answer(frame, FrameType::hello));
  CO_TRY(session.server, server_info(frame.table.bytes()));
  co_return Result<void>();
}

// After a failed attempt: ends the calls that will not wait for another, and pauses.
Task<void> ClientConnection::rest_after(const Error& error) {
  last_failure_ = error;
  const bool final = is_refusal(error.code);
  const Error told =
      final ? error
            : Error{ErrorCode::unavailable,
                    fmt::format("no connection to {}: {}", to_string(options_.server), error.message)};
  calls_.end_each(CallTable::State::waiting, [&](const CallTable::Call& call) -> std::optional<Error> {
    if (!final && call.request.patience != Duration::zero() && limit(call) > reactor_.now())
      return std::nullopt;
    return told;
  });
  backoff_ = std::clamp(backoff_ * 2, options_.backoff_min, options_.backoff_max);
  // Give or take a quarter, so that clients of a server that comes back do not come all at once.
  const auto quarter = static_cast<std::uint64_t>(backoff_.count() / 4);
  const Duration pause =
      backoff_ - Duration(quarter) + Duration(quarter == 0 ? 0 : reactor_.random() % (2 * quarter));
  const MonotonicTime until = reactor_.now() + pause;
  while (!closed_ && reactor_.now() < until) {
    WaitUntil wait(reactor_, work_, until);
    co_await wait;
  }
}

void ClientConnection::session_over(Session& session) {
  const Error reason = session.broken.value_or(Error{ErrorCode::connection_lost, "no reason known"});
  session_.reset();
  disconnected_since_ = reactor_.now();
  last_failure_ = reason;
  calls_.end_each(CallTable::State::waiting, [&](const CallTable::Call& call) -> std::optional<Error> {
    arm(limit(call));
    return std::nullopt;
  });
}

}  // namespace millrace
