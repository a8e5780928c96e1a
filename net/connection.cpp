#include "net/connection.h"

#include <utility>

#include "engine/wire/table.h"

namespace millrace {
namespace {

struct Work {
  Handler handler;
  bool heavy = false;  // see run_heavy()
};

// A pointer, not a call: the compiler would make room for the frame of each handler in that of every request.
Work work_of(FrameType type) {
  switch (type) {
    case FrameType::create_topic:
      return {handle_create_topic};
    case FrameType::list_topics:
      return {handle_list_topics, true};
    case FrameType::describe_topic:
      return {handle_describe_topic, true};
    case FrameType::delete_topic:
      return {handle_delete_topic};
    case FrameType::alter_topic:
      return {handle_alter_topic};
    case FrameType::produce:
      return {handle_produce};
    case FrameType::fetch:
      return {handle_fetch};
    case FrameType::list_offsets:
      return {handle_list_offsets};
    case FrameType::trim:
      return {handle_trim};
    case FrameType::status:
      return {handle_status, true};
    case FrameType::init_producer:
      return {handle_init_producer};
    case FrameType::hello:
    case FrameType::error:
      break;
  }
  CHECK(false, "type {} is no request", number(type));
}

}  // namespace

ServerConnection::ServerConnection(ShardContext& context, Socket socket)
    : context_(context),
      reactor_(context.reactor),
      socket_(std::move(socket)),
      peer_(to_string(reactor_.peer_address(socket_))),
      reader_(reactor_, socket_, context.receive_memory, context.counters.reader),
      queue_(context.answers),
      changed_(reactor_),
      promising_(reactor_),
      accepted_(reactor_.now()),
      last_activity_(accepted_) {
  ++context_.counters.connections;
  ++context_.counters.accepted;
}

ServerConnection::~ServerConnection() {
  if (--context_.counters.connections == 0) context_.disconnected.wake_all();
}

Task<void> ServerConnection::serve() {
  const Self self = shared_from_this();
  co_await receive_requests();
  ending_ = true;
  changed_.wake_all();
  while (!broken_ && (in_flight_ != 0 || sending_)) co_await changed_.wait();
  lose();
  // The peer sees the end; that the socket is gone already is no news.
  static_cast<void>(co_await reactor_.shutdown(socket_));
}

// ---- requests

void ServerConnection::take(InboundFrame frame, BudgetShare share) {
  ++context_.counters.requests;
  last_activity_ = reactor_.now();
  const auto type = request_type(frame.preamble.type);
  if (type == FrameType::hello || !greeted_) return take_hello(frame);
  if (!type) {
    return refuse(
        frame, Error{ErrorCode::protocol_error,
                     fmt::format("frame type {} is no request that this server knows", frame.preamble.type)});
  }
  if (context_.stopping)
    return refuse(frame, Error{ErrorCode::shutting_down, "the server is stopping; ask again later"});
  // A connection with hardly any is not refused for what the others have.
  if (context_.requests_in_flight >= context_.options.requests_max && in_flight_ >= k_requests_of_each) {
    ++context_.counters.refused_requests;
    return refuse(frame,
                  Error{ErrorCode::overloaded, fmt::format("{} requests are under way, the most allowed",
                                                           context_.requests_in_flight)});
  }
  ++in_flight_;
  ++context_.requests_in_flight;
  reactor_.spawn(run(shared_from_this(), InboundRequest{.type = *type,
                                                        .correlation = frame.preamble.correlation,
                                                        .table = std::move(frame.table),
                                                        .payload = std::move(frame.payload),
                                                        .share = std::move(share),
                                                        .received = reactor_.now()}));
}

// A request that no handler has seen.
void ServerConnection::refuse(const InboundFrame& frame, const Error& error) {
  if (!wants_no_answer(frame.preamble.type, frame.table.bytes())) {
    return fail_request(frame.preamble.correlation, error, {});
  }
  ++context_.counters.produce_unanswered_failures;
}

Task<void> ServerConnection::run(Self self, InboundRequest request) {
  const Reply reply(*self, request.type, request.correlation);
  const auto [handler, heavy] = work_of(request.type);
  if (heavy) {
    co_await run_heavy(reply, request, handler);
  } else {
    co_await handler(reply, request);
  }
  self->request_done();
}

// What takes much memory and time for a small question: one at a time, so that many cost others little. Its
// place in the answers' memory comes first: nobody waits for a peer with the turn in hand.
Task<void> ServerConnection::run_heavy(const Reply& reply, InboundRequest& request, Handler handler) {
  ShardContext& context = reply.context();
  ServerConnection& self = reply.connection();
  if (!co_await self.promise_answer(k_table_size_max)) co_return;
  if (!context.heavy.try_lock()) co_await context.heavy.lock();
  if (!self.broken_) co_await handler(reply, request);
  self.release_promise(k_table_size_max);
  co_await context.reactor.yield();
  context.heavy.unlock();
}

void ServerConnection::request_done() {
  --in_flight_;
  changed_.wake_all();
  finish_if_drained();
  --context_.requests_in_flight;
}

// ---- hello

std::optional<Error> ServerConnection::refusal_of_hello(const InboundFrame& frame) const {
  if (frame.preamble.type != number(FrameType::hello)) {
    return Error{ErrorCode::protocol_error, "a request before hello; hello must be the first frame"};
  }
  if (greeted_) return Error{ErrorCode::protocol_error, "a second hello on one connection"};
  const auto hello = verified<wire::Hello>(frame.table.bytes());
  if (!hello) return hello.error();
  const wire::Hello& table = **hello;
  if (table.version_min() > k_protocol_version || table.version_max() < k_protocol_version) {
    return Error{ErrorCode::unsupported_version,
                 fmt::format("the client speaks versions {} to {} of the protocol, this server version {}",
                             table.version_min(), table.version_max(), k_protocol_version)};
  }
  if (table.cluster() != nullptr && from_wire<ClusterId>(*table.cluster()) != context_.node.cluster) {
    return Error{ErrorCode::wrong_folder, "this server belongs to another cluster than the client expects"};
  }
  if (table.authentication() != nullptr && table.authentication()->size() != 0) {
    return Error{ErrorCode::unsupported, "the client wants to authenticate; this server has no users"};
  }
  return std::nullopt;
}

void ServerConnection::take_hello(const InboundFrame& frame) {
  if (const auto error = refusal_of_hello(frame)) {
    send_error(frame.preamble.correlation, *error, {});
    if (!greeted_) {
      ++context_.counters.closed_no_hello;
      end(error->message.c_str());
    }
    return;
  }
  greeted_ = true;
  auto& builder = context_.builder;
  builder.Clear();
  const wire::Id cluster = to_wire(context_.node.cluster);
  const auto server = builder.CreateString(context_.options.server);
  builder.Finish(wire::CreateHelloAnswer(builder, k_protocol_version, 0, &cluster, context_.node.node.value(),
                                         context_.options.frame_size_max,
                                         context_.options.requests_in_flight_max, server));
  send_answer(answer_to(FrameType::hello), frame.preamble.correlation, {});
}

// ---- ending

// The receiving loop sees `ending_` when it is resumed; what is queued is sent first.
void ServerConnection::end(const char* reason) {
  if (ending_) return;
  ending_ = true;
  context_.log_seldom(LogLevel::debug, fmt::format("{}: closing: {}", peer_, reason));
  changed_.wake_all();
  finish_if_drained();
}

void ServerConnection::close_with(const Error& error) {
  send_error(0, error, {});
  end(error.message.c_str());
}

// A receive that waits for the peer ends with the socket.
void ServerConnection::finish_if_drained() {
  if ((!draining_ && !ending_) || in_flight_ != 0 || sending_ || broken_) return;
  abort();
}

void ServerConnection::drain() {
  draining_ = true;
  finish_if_drained();
}

void ServerConnection::abort() {
  lose();
  reactor_.spawn([](Self self) -> Task<void> {
    static_cast<void>(co_await self->reactor_.shutdown(self->socket_));
  }(shared_from_this()));
}

void ServerConnection::lose() {
  ending_ = true;
  broken_ = true;
  queue_.clear();
  changed_.wake_all();
  context_.answers.freed.wake_all();
}

bool ServerConnection::overdue(MonotonicTime since, std::uint64_t bytes) const {
  const auto transfer = std::chrono::milliseconds(bytes * 1000 / context_.options.transfer_rate_min);
  return reactor_.now() - since > context_.options.transfer_deadline + transfer;
}

void ServerConnection::sweep() {
  if (broken_) return;
  if (sending_ && overdue(send_started_, send_size_))
    return close_slow_reader("it takes its answers too slowly");
  // Where nothing is received, nobody else notices; and its fetches would hold the requests that it has.
  if (holding_) peer_has_ended_ = reactor_.peer_has_ended(socket_);
  if (ending_ || holding_ || reader_.waits_for_memory()) return;
  if (!greeted_ && reactor_.now() - accepted_ > context_.options.hello_deadline) {
    ++context_.counters.closed_no_hello;
    return close_with({ErrorCode::timed_out, "no hello in time"});
  }
  if (const auto since = reader_.partial_since(); since && overdue(*since, reader_.partial_size())) {
    ++context_.counters.closed_slow_writer;
    return close_with({ErrorCode::timed_out, "a frame was begun and not finished in time"});
  }
  if (const auto since = idle_since(); since && reactor_.now() - *since > context_.options.idle_timeout)
    close_idle("the connection was idle for too long");
}

std::optional<MonotonicTime> ServerConnection::idle_since() const {
  if (ending_ || in_flight_ != 0 || sending_) return std::nullopt;
  // A frame under way has bounds of its own: what its peer gives it, in sweep(); what it waits for, in
  // press_payload() and the deadlines of other requests.
  if (holding_ || reader_.waits_for_memory() || reader_.partial_since()) return std::nullopt;
  return last_activity_;
}

void ServerConnection::close_idle(const char* why) {
  ++context_.counters.closed_idle;
  close_with({ErrorCode::timed_out, why});
}

std::optional<MonotonicTime> ServerConnection::sending_stands_still_since() const {
  if (!sending_ || broken_) return std::nullopt;
  const auto borne = std::chrono::milliseconds(k_pressed_deadline_ms) * (1 + send_size_ / k_pressed_step);
  if (reactor_.now() - send_started_ <= borne) return std::nullopt;
  return send_started_;
}

void ServerConnection::press_payload() {
  if (ending_ || !reader_.payload_stands_still()) return;
  ++context_.counters.closed_slow_writer;
  close_with({ErrorCode::overloaded, "a batch came too slowly while others waited for the memory it takes"});
}

void ServerConnection::close_slow_reader(const char* why) {
  if (broken_) return;
  ++context_.counters.closed_slow_reader;
  context_.log_seldom(LogLevel::warning,
                      fmt::format("{}: closed with {} bytes unsent: {}", peer_, bytes_waiting(), why));
  abort();
}

}  // namespace millrace
