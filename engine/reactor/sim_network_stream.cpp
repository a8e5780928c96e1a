// The bytes of connections, and their ends.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/reactor/sim_network.h"

namespace millrace {

SimNetwork::Side* SimNetwork::find(SimSocketId socket) {
  const auto found = connections_.find(socket.connection);
  return found == connections_.end() ? nullptr : &found->second.sides[socket.side];
}

void SimNetwork::wake(Action& action) {
  if (action) std::exchange(action, nullptr)();
}

void SimNetwork::carry_to_peer(SimSocketId from, PeerAction action) {
  // What travels is only a turn to arrive: whichever comes first lets the oldest piece in, so their order is
  // kept however turns are delayed.
  Side& sender = side(from);
  sender.under_way.push_back(std::move(action));
  carry(sender.node, side(from.other()).node, [this, from] {
    Side* still_there = find(from);
    if (still_there == nullptr) return;
    PeerAction oldest = std::move(still_there->under_way.front());
    still_there->under_way.pop_front();
    oldest(side(from.other()));
  });
}

// ---- sending ----------------------------------------------------------------

SimNetwork::Result<std::uint64_t> SimNetwork::send(SimSocketId socket, std::span<const std::byte> bytes) {
  Side& sender = side(socket);
  if (sender.is_broken) return std::unexpected(ECONNRESET);
  if (sender.is_shut) return std::unexpected(EPIPE);
  const std::uint64_t room = window - std::min(window, sender.outstanding);
  if (room == 0) return std::unexpected(EAGAIN);
  bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), room));
  sender.outstanding += bytes.size();
  std::string piece(bytes.size(), '\0');
  std::memcpy(piece.data(), bytes.data(), bytes.size());
  carry_to_peer(socket, [this, to = socket.other(), piece = std::move(piece)](Side&) mutable {
    piece_arrived(to, std::move(piece));
  });
  return bytes.size();
}

void SimNetwork::piece_arrived(SimSocketId to, std::string piece) {
  Side& receiver = side(to);
  if (receiver.is_broken || receiver.is_silent) return;
  if (receiver.is_closed) return reset_peer(to);  // nobody will read this, and the sender is told
  receiver.arrived.push_back(std::move(piece));
  wake(receiver.readable);
}

void SimNetwork::when_writable(SimSocketId socket, Action action) {
  side(socket).writable = std::move(action);
}

// ---- receiving --------------------------------------------------------------

SimNetwork::Result<std::uint64_t> SimNetwork::receive(SimSocketId socket, std::span<std::byte> into) {
  Side& receiver = side(socket);
  if (receiver.is_broken) return std::unexpected(ECONNRESET);
  if (receiver.arrived.empty()) {
    if (receiver.peer_has_ended || receiver.is_shut) return 0;
    return std::unexpected(EAGAIN);
  }
  // Half of the time all there is, else any part of it.
  std::uint64_t limit = into.size();
  if (random_.coin()) limit = random_.between(1, limit);
  std::uint64_t count = 0;
  while (count < limit && !receiver.arrived.empty()) {
    const std::string& piece = receiver.arrived.front();
    const std::uint64_t part = std::min<std::uint64_t>(piece.size() - receiver.first_consumed, limit - count);
    std::memcpy(into.data() + count, piece.data() + receiver.first_consumed, part);
    count += part;
    receiver.first_consumed += part;
    if (receiver.first_consumed < piece.size()) break;
    receiver.arrived.pop_front();
    receiver.first_consumed = 0;
  }
  // The acknowledgement opens the sender's window.
  carry(receiver.node, side(socket.other()).node, [this, sender = socket.other(), count] {
    Side* acknowledged = find(sender);
    if (acknowledged == nullptr) return;
    acknowledged->outstanding -= std::min(acknowledged->outstanding, count);
    wake(acknowledged->writable);
  });
  return count;
}

void SimNetwork::when_readable(SimSocketId socket, Action action) {
  side(socket).readable = std::move(action);
}

// ---- ends -------------------------------------------------------------------

void SimNetwork::shut(SimSocketId socket) {
  Side& ended = side(socket);
  if (ended.is_shut) return;
  ended.is_shut = true;
  if (!ended.is_broken) {
    carry_to_peer(socket, [](Side& peer) {
      peer.peer_has_ended = true;
      wake(peer.readable);
    });
  }
  wake(ended.readable);
  wake(ended.writable);
}

void SimNetwork::close(SimSocketId socket) {
  Side* closed = find(socket);
  if (closed == nullptr || closed->is_closed) return;
  closed->is_closed = true;
  closed->readable = nullptr;
  closed->writable = nullptr;
  if (!closed->arrived.empty() && !closed->is_shut)
    reset_peer(socket);  // unread bytes are lost, and the peer is told
  shut(socket);
  forget_if_closed(socket.connection);
}

// What is under way on a closed connection is of no use to anybody.
void SimNetwork::forget_if_closed(std::uint64_t connection) {
  const auto& sides = connections_.at(connection).sides;
  if (sides[0].is_closed && sides[1].is_closed) connections_.erase(connection);
}

// This side is done with; the other one hears of it when the news has travelled.
void SimNetwork::reset_peer(SimSocketId socket) {
  Side& broken = side(socket);
  if (broken.is_broken) return;
  broken.is_broken = true;
  wake(broken.readable);
  wake(broken.writable);
  carry_to_peer(socket, [this, to = socket.other()](Side&) { break_side(to); });
}

void SimNetwork::break_side(SimSocketId socket) {
  Side* broken = find(socket);
  if (broken == nullptr || broken->is_broken) return;
  broken->is_broken = true;
  wake(broken->readable);
  wake(broken->writable);
}

}  // namespace millrace
