// SimNetwork: connections between the nodes of a simulated world, as TCP gives them to programs: ordered
// streams of bytes, with a bounded window, that are cut into pieces anywhere, stall, and break.
//
// The fault model. A connection never loses, repeats or reorders bytes: what is under it does that, and TCP
// hides it.
// - Every piece takes latency_min to latency_max of its link; pieces of one connection keep their order,
//   those of two do not.
// - receive() gives any part of what has arrived; send() completes when the window has taken the bytes, not
//   when they arrive.
// - cut(a, b): what a sends to b waits, acknowledgements included, so the other direction stops too once its
//   window is full. All of it arrives after heal(a, b). A connect that is not answered within
//   connect_timeout fails with ETIMEDOUT.
// - reset(a, b): every connection between the two breaks with ECONNRESET on both sides; bytes under way are
//   lost.
// - A killed process's connections end or are reset, by the seed; after a power cut peers see a reset within
//   reset_after_power_cut_max.
// Not modelled: bandwidth, half-open connections for ever, names of hosts.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/limits.h"
#include "engine/reactor/address.h"
#include "engine/reactor/sim_events.h"
#include "engine/reactor/sim_random.h"

namespace millrace {

// One direction between two nodes.
struct SimLink {
  Duration latency_min = std::chrono::microseconds(30);
  Duration latency_max = std::chrono::microseconds(150);
  bool is_cut = false;  // by cut() and heal(), which also hold and let go what is under way
};

// One end of a connection.
struct SimSocketId {
  std::uint64_t connection = 0;
  std::uint8_t side = 0;  // 0: who connected
  [[nodiscard]] SimSocketId other() const { return {connection, static_cast<std::uint8_t>(1 - side)}; }
};
using SimListenerId = std::uint64_t;

class SimNetwork {
 public:
  template <class T>
  using Result = std::expected<T, int>;  // a positive errno; EAGAIN: wait and try again
  using Action = SimEvents::Action;

  SimNetwork(SimEvents& events, SimRandom& random) : events_(events), random_(random) {}

  // ---- for tests: nodes by SimNode::number(), one direction each unless the name says otherwise
  [[nodiscard]] SimLink& link(std::uint32_t from, std::uint32_t to) { return line(from, to).link; }
  void cut(std::uint32_t from, std::uint32_t to);
  void heal(std::uint32_t from, std::uint32_t to);
  void cut_both(std::uint32_t a, std::uint32_t b);
  void heal_both(std::uint32_t a, std::uint32_t b);
  // Cuts a node off from all others, both ways.
  void isolate(std::uint32_t node);
  void heal_all();
  void reset(std::uint32_t a, std::uint32_t b);
  // Bytes that one direction of a connection holds, under way and unread together.
  std::uint64_t window = 256_KiB;
  Duration connect_timeout = std::chrono::seconds(30);
  Duration reset_after_power_cut_max = std::chrono::seconds(3);
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

  // ---- verbs, for SimReactor ------------------------------------------------
  // Nodes are known by their numbers, 1 to the count.
  void set_node_count(std::uint32_t count) { node_count_ = count; }
  // Port 0 picks one. Each listener of a port gets a part of its connections.
  SimListenerId listen(std::uint32_t node, std::uint64_t process, std::uint16_t port);
  [[nodiscard]] std::uint16_t port(SimListenerId listener) const { return listeners_.at(listener).port; }
  // EAGAIN; EINVAL once it is shut down.
  Result<SimSocketId> accept(SimListenerId listener);
  void shut_listener(SimListenerId listener);
  void close_listener(SimListenerId listener);
  // `done` gets the result, and returns whether it has taken the connection; one that nobody takes is reset.
  using Connected = std::move_only_function<bool(Result<SimSocketId>)>;
  void connect(std::uint32_t node, std::uint64_t process, const Address& address, Connected done);
  // At least one byte; 0 at the end of the stream; EAGAIN; ECONNRESET.
  Result<std::uint64_t> receive(SimSocketId socket, std::span<std::byte> into);
  // As many as the window takes, at least one; EAGAIN; ECONNRESET; EPIPE.
  Result<std::uint64_t> send(SimSocketId socket, std::span<const std::byte> bytes);
  void shut(SimSocketId socket);
  void close(SimSocketId socket);
  // Called once, when trying again makes sense: a later call for the same direction takes the place of an
  // earlier one.
  void when_acceptable(SimListenerId listener, Action action);
  void when_readable(SimSocketId socket, Action action);
  void when_writable(SimSocketId socket, Action action);
  [[nodiscard]] const Address& local_address(SimSocketId socket) const { return side(socket).local; }
  [[nodiscard]] const Address& peer_address(SimSocketId socket) const { return side(socket.other()).local; }
  // Or the connection is broken.
  [[nodiscard]] bool peer_has_ended(SimSocketId socket) const {
    return side(socket).peer_has_ended || side(socket).is_broken;
  }
  // Ends what the process has; peers hear of it now (killed) or later.
  enum class Ending : std::uint8_t { killed, power_cut };
  void process_ended(std::uint64_t process, Ending ending);

 private:
  struct Side;
  using PeerAction = std::move_only_function<void(Side&)>;
  struct Side {
    std::uint32_t node = 0;
    std::uint64_t process = 0;
    Address local;
    std::deque<std::string> arrived;
    std::size_t first_consumed = 0;    // of the first piece
    std::uint64_t outstanding = 0;     // bytes sent whose consumption we have not heard of
    std::deque<PeerAction> under_way;  // what we sent, in order
    bool peer_has_ended = false;       // after what has arrived there is no more
    bool is_shut = false;              // we have said that there is no more
    bool is_broken = false;
    bool is_closed = false;  // the program has let go
    bool is_silent = false;  // the machine has lost its power: it does not answer
    Action readable, writable;
  };
  struct Connection {
    Side sides[2];
  };
  struct Listener {
    std::uint32_t node = 0;
    std::uint64_t process = 0;
    std::uint16_t port = 0;
    bool is_shut = false;
    std::deque<SimSocketId> backlog;
    std::vector<Action> acceptable;
  };
  struct Line {
    SimLink link;
    std::deque<Action> held;
  };
  struct Attempt {
    Connected done;  // empty once it was called
  };

  [[nodiscard]] Line& line(std::uint32_t from, std::uint32_t to);
  [[nodiscard]] Side& side(SimSocketId socket) {
    return connections_.at(socket.connection).sides[socket.side];
  }
  [[nodiscard]] const Side& side(SimSocketId socket) const {
    return connections_.at(socket.connection).sides[socket.side];
  }
  // Null when both ends are closed.
  [[nodiscard]] Side* find(SimSocketId socket);
  void carry(std::uint32_t from, std::uint32_t to, Action action);
  // From a socket to its other end, in order.
  void carry_to_peer(SimSocketId from, PeerAction action);
  void piece_arrived(SimSocketId to, std::string piece);
  void break_side(SimSocketId socket);
  void reset_peer(SimSocketId socket);
  void forget_if_closed(std::uint64_t connection);
  static void wake(Action& action);
  [[nodiscard]] std::uint32_t node_of(std::uint32_t from, const Address& address) const;
  [[nodiscard]] Listener* choose_listener(std::uint32_t node, std::uint16_t port);
  Result<SimSocketId> open_connection(std::uint32_t node, std::uint64_t process, std::uint32_t target,
                                      std::uint16_t port);
  void finish_attempt(Attempt& attempt, Result<SimSocketId> result);

  SimEvents& events_;
  SimRandom& random_;
  std::uint32_t node_count_ = 0;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Line> lines_;
  std::map<std::uint64_t, Connection> connections_;
  std::map<SimListenerId, Listener> listeners_;
  std::uint64_t next_id_ = 1;
  std::uint16_t next_port_ = 40'000;
};

}  // namespace millrace
