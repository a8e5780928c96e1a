#include "net/server.h"

#include <algorithm>
#include <utility>

#include "engine/wire/table.h"
#include "net/send_queue.h"
#include "net/wire_tables.h"

namespace millrace {

Server::Server(ShardContext& context) : context_(context), reactor_(context.reactor), gate_(reactor_) {
  context_.shed = [this] { shed(); };
}

void Server::start(Socket listener) {
  listener_ = std::move(listener);
  accepting_ = Background(accept_all());
  sweeping_ = Background(sweep_all());
  pressing_ = Background(press_all());
}

Task<void> Server::accept_all() {
  // The reason for an error (no descriptors left, mostly) does not go away within a turn.
  constexpr Duration k_pause = std::chrono::milliseconds(100);
  for (;;) {
    auto socket = co_await reactor_.accept(listener_);
    if (socket) {
      admit(*std::move(socket));
      continue;
    }
    context_.log_seldom(LogLevel::warning,
                        fmt::format("cannot accept a connection: {}", socket.error().message));
    static_cast<void>(co_await reactor_.sleep(k_pause));
  }
}

void Server::admit(Socket socket) {
  // One that has ended counts, too, until its requests are done: they hold it.
  if (context_.counters.connections < context_.options.connections_max || make_place()) {
    connections_.push_back(std::make_shared<ServerConnection>(context_, std::move(socket)));
    gate_.spawn(serve(connections_.back()));
    return;
  }
  ++context_.counters.refused_connections;
  context_.log_seldom(
      LogLevel::warning,
      fmt::format("a connection was refused: {} are open, the most allowed", context_.counters.connections));
  if (refusing_ < k_refusals_max) gate_.spawn(refuse(std::move(socket)));
}

// Whoever has been idle for longest goes, if that is long enough.
bool Server::make_place() {
  if (reactor_.now() < no_place_until_) return false;
  const auto idle_since = [](const auto& c) { return c->idle_since().value_or(k_never); };
  const auto idle = std::ranges::min_element(connections_, {}, idle_since);
  if (idle != connections_.end() && idle_since(*idle) != k_never &&
      reactor_.now() - idle_since(*idle) > context_.options.idle_at_least) {
    (*idle)->close_idle("the connection was idle, and others wanted its place");
    return true;
  }
  // All were looked at: not again for each that comes.
  no_place_until_ = reactor_.now() + std::chrono::milliseconds(k_sweep_interval_ms);
  return false;
}

Task<void> Server::serve(std::shared_ptr<ServerConnection> connection) {
  co_await connection->serve();
  std::erase(connections_, connection);
}

Task<void> Server::refuse(Socket socket) {
  ++refusing_;
  context_.builder.Clear();
  context_.builder.Finish(error_to_wire(
      context_.builder,
      {ErrorCode::overloaded,
       fmt::format("this server has {} connections, the most it takes", context_.options.connections_max)}));
  const auto table = table_bytes(context_.builder);
  SendQueue queue(context_.answers);
  if (const auto room = queue.append(static_cast<std::uint32_t>(k_preamble_size + table.size()))) {
    encode_frame(number(FrameType::error), 0, table, 0, *room);
    const auto deadline = reactor_.now() + context_.options.hello_deadline;
    static_cast<void>(co_await reactor_.send(socket, queue.next(k_block_size), deadline));
  }
  static_cast<void>(co_await reactor_.shutdown(socket));
  --refusing_;
}

Task<void> Server::sweep_all() {
  for (;;) {
    static_cast<void>(co_await reactor_.sleep(std::chrono::milliseconds(k_sweep_interval_ms)));
    for (const auto& connection : connections_) connection->sweep();
  }
}

Task<void> Server::press_all() {
  const auto wanted = [&] {
    return context_.answers.is_waited_for() || context_.large_requests.is_waited_for() ||
           context_.small_requests.is_waited_for();
  };
  for (;;) {
    if (!wanted()) co_await context_.pressed.wait();
    press();
    static_cast<void>(co_await reactor_.sleep(std::chrono::milliseconds(k_pressed_interval_ms)));
  }
}

// Nobody waits for memory that a peer keeps by standing still: the payloads that do go, and of the answers,
// longest first, as many as half of their memory takes.
void Server::press() {
  if (context_.large_requests.is_waited_for() || context_.small_requests.is_waited_for()) {
    for (const auto& connection : connections_) connection->press_payload();
  }
  if (!context_.answers.is_waited_for()) return;
  std::vector<std::pair<MonotonicTime, ServerConnection*>> still;
  for (const auto& connection : connections_) {
    if (const auto since = connection->sending_stands_still_since())
      still.emplace_back(*since, connection.get());
  }
  std::ranges::sort(still);
  for (const auto& [since, connection] : still) {
    if (!context_.answers.is_too_short()) return;
    connection->close_slow_reader("others wait for the memory of the answers that it does not take");
  }
}

// More answers wait than the shard can hold: whoever holds most of them back goes, but nobody who takes them
// before those who do not.
void Server::shed() {
  const auto rank = [](const auto& c) {
    return std::pair(c->sending_stands_still_since().has_value(), c->bytes_waiting());
  };
  while (context_.answers.is_overfull()) {
    const auto largest = std::ranges::max_element(connections_, {}, rank);
    if (largest == connections_.end() || (*largest)->bytes_waiting() == 0) return;
    (*largest)->close_slow_reader("the server's memory for answers is full");
  }
}

void Server::take_no_more() {
  context_.stopping = true;
  accepting_.reset();
  listener_ = Socket();
  context_.fetch_waits.wake_all();
  context_.log.end_searches();
}

Task<void> Server::stop() {
  take_no_more();
  // A copy: draining an idle connection ends it.
  for (const auto& connection : std::vector(connections_)) connection->drain();
  Background limit([](Server& server) -> Task<void> {
    static_cast<void>(co_await server.reactor_.sleep(server.context_.options.drain_deadline));
    for (const auto& connection : std::vector(server.connections_)) connection->abort();
  }(*this));
  co_await close_all();
}

Task<void> Server::abort() {
  take_no_more();
  for (const auto& connection : std::vector(connections_)) connection->abort();
  co_await close_all();
}

Task<void> Server::close_all() {
  co_await gate_.close();
  // Requests and sends may outlast the serving of their connection, but not the shard's context.
  while (context_.counters.connections != 0) co_await context_.disconnected.wait();
  sweeping_.reset();
  pressing_.reset();
}

}  // namespace millrace
