// Links, and the making and ending of connections; their bytes are in sim_network_stream.cpp.
#include "engine/reactor/sim_network.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <memory>

namespace millrace {

// ---- links ------------------------------------------------------------------

SimNetwork::Line& SimNetwork::line(std::uint32_t from, std::uint32_t to) {
  const auto [found, is_new] = lines_.try_emplace({from, to});
  if (is_new && from == to) {  // loopback
    found->second.link.latency_min = std::chrono::microseconds(5);
    found->second.link.latency_max = std::chrono::microseconds(25);
  }
  return found->second;
}

void SimNetwork::carry(std::uint32_t from, std::uint32_t to, Action action) {
  const SimLink& link = line(from, to).link;
  const Duration latency = random_.between(link.latency_min, link.latency_max);
  events_.after(latency, [this, from, to, action = std::move(action)]() mutable {
    Line& way = line(from, to);
    if (way.link.is_cut) {
      way.held.push_back(std::move(action));
    } else {
      action();
    }
  });
}

void SimNetwork::cut(std::uint32_t from, std::uint32_t to) {
  line(from, to).link.is_cut = true;
}

void SimNetwork::heal(std::uint32_t from, std::uint32_t to) {
  Line& way = line(from, to);
  if (!way.link.is_cut) return;
  way.link.is_cut = false;
  for (Action& action : std::exchange(way.held, {})) carry(from, to, std::move(action));
}

void SimNetwork::cut_both(std::uint32_t a, std::uint32_t b) {
  cut(a, b);
  cut(b, a);
}

void SimNetwork::heal_both(std::uint32_t a, std::uint32_t b) {
  heal(a, b);
  heal(b, a);
}

void SimNetwork::isolate(std::uint32_t node) {
  for (std::uint32_t other = 1; other <= node_count_; ++other) {
    if (other != node) cut_both(node, other);
  }
}

void SimNetwork::heal_all() {
  for (auto& [ends, way] : lines_) heal(ends.first, ends.second);
}

// ---- listening and connecting -----------------------------------------------

SimListenerId SimNetwork::listen(std::uint32_t node, std::uint64_t process, std::uint16_t port) {
  if (port == 0) port = next_port_++;
  const SimListenerId id = next_id_++;
  Listener& listener = listeners_[id];
  listener.node = node;
  listener.process = process;
  listener.port = port;
  return id;
}

SimNetwork::Result<SimSocketId> SimNetwork::accept(SimListenerId id) {
  Listener& listener = listeners_.at(id);
  if (listener.is_shut) return std::unexpected(EINVAL);
  if (listener.backlog.empty()) return std::unexpected(EAGAIN);
  const SimSocketId accepted = listener.backlog.front();
  listener.backlog.pop_front();
  return accepted;
}

void SimNetwork::when_acceptable(SimListenerId id, Action action) {
  listeners_.at(id).acceptable.push_back(std::move(action));
}

void SimNetwork::shut_listener(SimListenerId id) {
  Listener& listener = listeners_.at(id);
  listener.is_shut = true;
  for (const SimSocketId waiting : std::exchange(listener.backlog, {})) {
    reset_peer(waiting);
    close(waiting);
  }
  for (Action& action : std::exchange(listener.acceptable, {})) wake(action);
}

void SimNetwork::close_listener(SimListenerId id) {
  if (!listeners_.contains(id)) return;  // its process was ended
  shut_listener(id);
  listeners_.erase(id);
}

// The node that an address means, or 0.
std::uint32_t SimNetwork::node_of(std::uint32_t from, const Address& address) const {
  for (const char* own : {"127.0.0.1", "0.0.0.0", "::1", "::"}) {
    if (address.host == own) return from;
  }
  for (std::uint32_t node = 1; node <= node_count_; ++node) {
    if (address.host == fmt::format("10.0.0.{}", node)) return node;
  }
  return 0;
}

SimNetwork::Listener* SimNetwork::choose_listener(std::uint32_t node, std::uint16_t port) {
  std::vector<Listener*> found;
  for (auto& [id, listener] : listeners_) {
    if (listener.node == node && listener.port == port && !listener.is_shut) found.push_back(&listener);
  }
  return found.empty() ? nullptr : found[random_.below(found.size())];
}

// At the listening node: makes the connection, both ends of it.
SimNetwork::Result<SimSocketId> SimNetwork::open_connection(std::uint32_t node, std::uint64_t process,
                                                            std::uint32_t target, std::uint16_t port) {
  Listener* listener = choose_listener(target, port);
  if (listener == nullptr) return std::unexpected(ECONNREFUSED);
  const SimSocketId connecting{next_id_++, 0};
  Connection& connection = connections_[connecting.connection];
  const bool is_loopback = node == target;
  const auto fill = [&](Side& side, std::uint32_t at, std::uint64_t of, std::uint16_t local_port) {
    side.node = at;
    side.process = of;
    side.local = {is_loopback ? "127.0.0.1" : fmt::format("10.0.0.{}", at), local_port};
  };
  fill(connection.sides[0], node, process, next_port_++);
  fill(connection.sides[1], target, listener->process, port);
  listener->backlog.push_back(connecting.other());
  for (Action& action : std::exchange(listener->acceptable, {})) wake(action);
  return connecting;
}

void SimNetwork::connect(std::uint32_t node, std::uint64_t process, const Address& address, Connected done) {
  auto attempt = std::make_shared<Attempt>(std::move(done));
  events_.after(connect_timeout, [this, attempt] { finish_attempt(*attempt, std::unexpected(ETIMEDOUT)); });
  const std::uint32_t target = node_of(node, address);
  if (target == 0) return;  // nobody answers
  carry(node, target, [this, node, process, target, port = address.port, attempt] {
    carry(target, node, [this, attempt, result = open_connection(node, process, target, port)] {
      finish_attempt(*attempt, result);
    });
  });
}

void SimNetwork::finish_attempt(Attempt& attempt, Result<SimSocketId> result) {
  const bool is_taken = attempt.done && std::exchange(attempt.done, nullptr)(result);
  if (is_taken || !result || find(*result) == nullptr) return;
  reset_peer(*result);
  close(*result);
}

void SimNetwork::reset(std::uint32_t a, std::uint32_t b) {
  for (auto& [id, connection] : connections_) {
    const std::uint32_t first = connection.sides[0].node, second = connection.sides[1].node;
    if ((first != a || second != b) && (first != b || second != a)) continue;
    break_side({id, 0});
    break_side({id, 1});
  }
}

void SimNetwork::process_ended(std::uint64_t process, Ending ending) {
  std::vector<SimListenerId> own_listeners;
  for (const auto& [id, listener] : listeners_) {
    if (listener.process == process) own_listeners.push_back(id);
  }
  for (const SimListenerId id : own_listeners) close_listener(id);
  std::vector<SimSocketId> own_sockets;
  for (const auto& [id, connection] : connections_) {
    for (const std::uint8_t which : {std::uint8_t{0}, std::uint8_t{1}}) {
      if (connection.sides[which].process == process && !connection.sides[which].is_closed) {
        own_sockets.push_back({id, which});
      }
    }
  }
  for (const SimSocketId socket : own_sockets) {
    Side& ended = side(socket);
    if (ending == Ending::power_cut) {
      ended.is_silent = true;
      ended.is_shut = true;  // so that close() sends nothing
      const Duration delay = random_.between(Duration(0), reset_after_power_cut_max);
      events_.after(delay, [this, socket] { break_side(socket.other()); });
    } else if (random_.coin()) {
      reset_peer(socket);
    }
    close(socket);
  }
}

}  // namespace millrace
