#include "net/client/connection.h"

#include <algorithm>
#include <utility>

#include "engine/wire/table.h"

namespace millrace {
namespace {

std::string_view name(FrameType type) {
  switch (type) {
    case FrameType::hello:
      return "hello";
    case FrameType::create_topic:
      return "create topic";
    case FrameType::list_topics:
      return "list topics";
    case FrameType::describe_topic:
      return "describe topic";
    case FrameType::delete_topic:
      return "delete topic";
    case FrameType::alter_topic:
      return "alter topic";
    case FrameType::produce:
      return "produce";
    case FrameType::fetch:
      return "fetch";
    case FrameType::list_offsets:
      return "list offsets";
    case FrameType::trim:
      return "trim";
    case FrameType::status:
      return "status";
    case FrameType::init_producer:
      return "init producer";
    case FrameType::error:
      break;
  }
  return "connect";
}

// Of a connection that is there: an answer that waits for a disk, or for a segment that was lost on the way
// and is sent again after 200 ms, then 400 more.
constexpr Duration k_silence_min = std::chrono::seconds(1);

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

// Waits in the frame of call(): whoever destroys that frees the slot.
class ClientConnection::Wait {
 public:
  Wait(CallTable& calls, CallId id) : calls_(calls), id_(id) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() { calls_.release(id_); }
  bool await_ready() const { return calls_.find(id_)->state == CallTable::State::done; }
  void await_suspend(std::coroutine_handle<> handle) { calls_.find(id_)->waiter = handle; }
  Result<CallAnswer> await_resume() {
    CallTable::Call& call = *calls_.find(id_);
    call.ticket = 0;
    return *std::move(call.result);
  }

 private:
  CallTable& calls_;
  CallId id_;
};

ClientConnection::ClientConnection(Reactor& reactor, ClientOptions options)
    : reactor_(reactor),
      options_(std::move(options)),
      calls_(reactor),
      work_(reactor),
      disconnected_since_(reactor.now()) {}

flatbuffers::FlatBufferBuilder& ClientConnection::builder() {
  builder_.Clear();
  return builder_;
}

MonotonicTime ClientConnection::deadline(Duration timeout) const {
  return reactor_.now() + (timeout == Duration::zero() ? options_.request_timeout : timeout);
}

Task<Result<CallAnswer>> ClientConnection::call(CallRequest request) {
  const Self self = shared_from_this();
  if (closed_)
    co_return fail(ErrorCode::cancelled, "the client is closed; the {} request was not sent",
                   name(request.type));
  // A connect has no table: the builder's is that of a call before it.
  const bool framed = request.kind != CallKind::connect;
  const auto table = framed ? table_bytes(builder_) : std::span<const std::byte>();
  if (table.size() > k_request_table_size_max) {
    co_return fail(ErrorCode::invalid_argument, "a {} request of {} bytes: names are far shorter",
                   name(request.type), table.size());
  }
  const CallId id = calls_.open(std::move(request), table);
  Wait wait(calls_, id);
  arm(limit(*calls_.find(id)));
  wake();
  co_return co_await wait;
}

void ClientConnection::close() {
  if (std::exchange(closed_, true)) return;
  fail_waiting({ErrorCode::cancelled, "the client was closed; the request was not sent"});
  if (session_) break_session(*session_, {ErrorCode::connection_lost, "the client was closed"});
  work_.wake_all();
}

// Somebody has a reason to look at the calls: the sender, or a driver that is not there yet.
void ClientConnection::wake() {
  if (session_) {
    session_->changed.wake_all();
  } else if (!std::exchange(driving_, true)) {
    reactor_.spawn(drive(shared_from_this()));
  }
}

// ---- limits of calls. One alarm is set for the earliest; later ones are found when it rings.

void ClientConnection::arm(MonotonicTime time) {
  if (time >= armed_) return;
  armed_ = time;
  reactor_.spawn(alarm(weak_from_this(), reactor_, time));
}

Task<void> ClientConnection::alarm(std::weak_ptr<ClientConnection> weak, Reactor& reactor,
                                   MonotonicTime time) {
  static_cast<void>(co_await reactor.sleep_until(time));
  const Self self = weak.lock();
  if (self == nullptr || self->armed_ != time) co_return;  // an earlier alarm has taken over
  self->armed_ = k_never;
  self->expire();
}

void ClientConnection::expire() {
  MonotonicTime next = k_never;
  const auto judge = [&](const CallTable::Call& call) -> std::optional<Error> {
    const MonotonicTime until = limit(call);
    if (until <= reactor_.now()) return expired(call);
    next = std::min(next, until);
    return std::nullopt;
  };
  calls_.end_each(CallTable::State::waiting, judge);
  bool silent = false;
  calls_.end_each(CallTable::State::sent, [&](const CallTable::Call& call) {
    auto error = judge(call);
    silent = silent || (error && is_silent(call));
    return error;
  });
  // A peer that says nothing for so long is not there; the next call shall have a connection that works.
  if (silent) {
    const double silence = seconds(reactor_.now() - session_->silent_since());
    break_session(*session_, {ErrorCode::connection_lost, fmt::format("nothing came for {:.1f} s", silence)});
  }
  arm(next);
}

// Whether nothing at all came while this call waited, for as long as it was prepared to. Whoever waits for
// less than k_silence_min says nothing about the server: the others keep their connection.
bool ClientConnection::is_silent(const CallTable::Call& call) const {
  if (!session_) return false;
  const Duration waited = std::min(options_.request_timeout, reactor_.now() - call.sent);
  return reactor_.now() - session_->silent_since() >= std::max(waited, k_silence_min);
}

MonotonicTime ClientConnection::limit(const CallTable::Call& call) const {
  if (call.state != CallTable::State::waiting || session_) return call.request.deadline;
  // Without patience a call waits for the outcome of one attempt, which has its own bound.
  if (call.request.patience == Duration::zero()) return call.request.deadline;
  return std::min(call.request.deadline, std::max(call.started, disconnected_since_) + call.request.patience);
}

Error ClientConnection::expired(const CallTable::Call& call) const {
  const double waited = seconds(reactor_.now() - call.started);
  const std::string server = to_string(options_.server);
  if (call.state == CallTable::State::sent) {
    return {ErrorCode::timed_out,
            fmt::format("no answer from {} to a {} request in {:.1f} s: its outcome is unknown", server,
                        name(call.request.type), waited)};
  }
  if (session_) {
    return {ErrorCode::overloaded,
            fmt::format("a {} request was not sent: {} had too many others to answer for {:.1f} s",
                        name(call.request.type), server, waited)};
  }
  return {ErrorCode::unavailable,
          fmt::format("no connection to {} in {:.1f} s: {}", server, waited,
                      last_failure_ ? last_failure_->message : "no attempt has ended")};
}

void ClientConnection::fail_waiting(const Error& error) {
  calls_.end_each(CallTable::State::waiting, [&](const CallTable::Call&) { return std::optional(error); });
}

}  // namespace millrace
