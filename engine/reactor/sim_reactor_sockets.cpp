// Verbs on sockets. Each tries at once, in an event of its own, and again whenever the network says that it
// may now succeed.
#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "engine/base/check.h"
#include "engine/reactor/sim_reactor.h"
#include "engine/reactor/sim_reactor_handles.h"
#include "engine/reactor/sim_world.h"

namespace millrace {

void SimReactor::begin_on_network(const FlightPtr& flight) {
  const Request& made = request(flight->slot);
  switch (made.verb) {
    case Verb::connect:
      return begin_connect(flight);
    case Verb::listen:
      return soon(flight, &SimReactor::do_listen);
    case Verb::accept:
      return soon(flight, &SimReactor::try_accept);
    case Verb::receive:
      return soon(flight, &SimReactor::try_receive);
    case Verb::send:
      return soon(flight, &SimReactor::try_send);
    case Verb::shutdown:
      return soon(flight, &SimReactor::do_shutdown);
    case Verb::transfer: {
      const auto& file = static_cast<const FileState&>(*made.handle.state());
      SimDiskRequest asked;
      std::uint64_t length = std::min(made.length, k_transfer_max);
      if (length > 1 && world_.random().chance(node_.disk().faults().short_transfers)) {
        length = world_.random().between(1, length - 1);
      }
      asked.access = {
          .verb = Verb::transfer, .path = file.label, .position = made.position, .length = length};
      asked.file = file.file;
      return submit(flight, std::move(asked));
    }
    default:
      CHECK(false, "{} is no operation of a network", name(made.verb));
  }
}

// ---- making connections -----------------------------------------------------

void SimReactor::begin_connect(const FlightPtr& flight) {
  const Address& address = request(flight->slot).address;
  world_.network().connect(
      node_.number(), process_, address, [flight](SimNetwork::Result<SimSocketId> result) {
        SimReactor* reactor = flight->reactor;
        if (reactor == nullptr) return false;
        if (!result) {
          reactor->complete(*flight, result.error());
          return false;
        }
        reactor->complete(*flight, Outcome{.handle = reactor->make_socket(*result), .entries = {}});
        return true;
      });
}

void SimReactor::do_listen(const FlightPtr& flight) {
  const Address& address = request(flight->slot).address;
  auto* state = new SocketState;
  state->reactor = this;
  state->listener = world_.network().listen(node_.number(), process_, address.port);
  state->local = {address.host, world_.network().port(state->listener)};
  state->label = to_string(state->local);
  complete(*flight, Outcome{.handle = Handle(state), .entries = {}});
}

void SimReactor::try_accept(const FlightPtr& flight) {
  const auto& state = static_cast<const SocketState&>(*request(flight->slot).handle.state());
  const auto accepted = world_.network().accept(state.listener);
  if (accepted) {
    complete(*flight, Outcome{.handle = make_socket(*accepted), .entries = {}});
  } else if (accepted.error() == EAGAIN) {
    world_.network().when_acceptable(state.listener, when_ready(flight, &SimReactor::try_accept));
  } else {
    complete(*flight, accepted.error());
  }
}

Handle SimReactor::make_socket(SimSocketId socket) {
  auto* state = new SocketState;
  state->reactor = this;
  state->socket = socket;
  state->local = world_.network().local_address(socket);
  state->peer = world_.network().peer_address(socket);
  state->label = "peer " + to_string(state->peer);
  return Handle(state);
}

void SimReactor::release_socket(SocketState& socket) {
  if (socket.listener != 0) {
    world_.network().close_listener(socket.listener);
  } else {
    world_.network().close(socket.socket);
  }
}

Address SimReactor::local_address(const Socket& socket) const {
  return static_cast<const SocketState&>(*socket.state()).local;
}

Address SimReactor::peer_address(const Socket& socket) const {
  return static_cast<const SocketState&>(*socket.state()).peer;
}

bool SimReactor::peer_has_ended(const Socket& socket) const {
  return world_.network().peer_has_ended(static_cast<const SocketState&>(*socket.state()).socket);
}

// ---- bytes ------------------------------------------------------------------

void SimReactor::try_receive(const FlightPtr& flight) {
  const Request& made = request(flight->slot);
  const SimSocketId socket = static_cast<const SocketState&>(*made.handle.state()).socket;
  const Slice& into = made.slices[0];
  const auto bytes = into.buffer.bytes().subspan(into.offset, into.length);
  for (;;) {
    const auto count = world_.network().receive(socket, bytes.subspan(flight->moved));
    if (!count && count.error() == EAGAIN) {
      return world_.network().when_readable(socket, when_ready(flight, &SimReactor::try_receive));
    }
    if (!count) return complete(*flight, count.error());
    flight->moved += *count;
    if (*count == 0 || made.amount == Amount::some || flight->moved == into.length) break;
  }
  complete(*flight, Outcome{.count = flight->moved, .handle = {}, .entries = {}});
}

void SimReactor::try_send(const FlightPtr& flight) {
  const Request& made = request(flight->slot);
  const SimSocketId socket = static_cast<const SocketState&>(*made.handle.state()).socket;
  std::uint64_t begin = 0;  // of the slice, in all the bytes
  for (const Slice& slice : made.slices) {
    const std::uint64_t end = begin + slice.length;
    while (flight->moved < end) {
      const auto count = world_.network().send(socket, slice.bytes().subspan(flight->moved - begin));
      if (!count && count.error() == EAGAIN) {
        return world_.network().when_writable(socket, when_ready(flight, &SimReactor::try_send));
      }
      if (!count) return complete(*flight, count.error());
      flight->moved += *count;
    }
    begin = end;
  }
  complete(*flight, Outcome{.count = flight->moved, .handle = {}, .entries = {}});
}

// The bytes have been read; as many as the window takes are sent, in one go.
void SimReactor::try_transfer(const FlightPtr& flight) {
  if (flight->bytes.empty()) return complete(*flight, 0);  // the end of the file
  const SimSocketId socket = static_cast<const SocketState&>(*request(flight->slot).other.state()).socket;
  const auto count = world_.network().send(socket, std::as_bytes(std::span(flight->bytes)));
  if (count) {
    complete(*flight, Outcome{.count = *count, .handle = {}, .entries = {}});
  } else if (count.error() == EAGAIN) {
    world_.network().when_writable(socket, when_ready(flight, &SimReactor::try_transfer));
  } else {
    complete(*flight, count.error());
  }
}

void SimReactor::do_shutdown(const FlightPtr& flight) {
  const auto& state = static_cast<const SocketState&>(*request(flight->slot).handle.state());
  if (state.listener != 0) {
    world_.network().shut_listener(state.listener);
  } else {
    world_.network().shut(state.socket);
  }
  complete(*flight, 0);
}

}  // namespace millrace
