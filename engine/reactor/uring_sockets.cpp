// Making sockets, and their addresses. They are in blocking mode: a ring operation on a non-blocking one may
// come back with EAGAIN where it should wait.
#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "engine/reactor/uring_reactor.h"

namespace millrace {
namespace {

constexpr int k_backlog = 1024;

// Listeners share their port with any other program of the same user that shares it, too; that would split
// the clients between two servers. A socket that does not share finds out, before the first of ours is there.
int taken(const SocketAddress& where) {
  const UniqueFd fd(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  const bool free = fd && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                    ::bind(fd.get(), where.get(), where.length) == 0;
  return free ? 0 : errno;
}

}  // namespace

Outcome UringReactor::open_listener(const Address& address) {
  Outcome outcome;
  const auto where = to_socket_address(address);
  if (!where) {
    outcome.error = EINVAL;
    return outcome;
  }
  if (address.port != 0) {
    outcome.error = mail_.may_listen(address, [&] { return taken(*where); });
    if (outcome.error != 0) return outcome;
  }
  UniqueFd fd(::socket(where->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  // Each shard has its own listener on the address, also while connections of an earlier start fade away.
  const bool open = fd && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
                    ::bind(fd.get(), where->get(), where->length) == 0 && ::listen(fd.get(), k_backlog) == 0;
  if (!open) {
    outcome.error = errno;
    return outcome;
  }
  outcome.handle = make_handle(std::move(fd), to_string(address));
  if (address.port == 0) {
    (void)mail_.may_listen(local_address(Socket(outcome.handle.state())), [] { return 0; });
  }
  return outcome;
}

int UringReactor::prepare_connect(std::uint32_t slot) {
  const auto where = to_socket_address(request(slot).address);
  if (!where) return EINVAL;
  UniqueFd fd(::socket(where->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  flights_[slot].fd = std::move(fd);
  flights_[slot].address = *where;
  return 0;
}

Address UringReactor::local_address(const Socket& socket) const {
  SocketAddress found;
  if (::getsockname(uring_handle(socket).fd, found.get(), &found.length) != 0) return {};
  return found.to_address();
}

Address UringReactor::peer_address(const Socket& socket) const {
  SocketAddress found;
  if (::getpeername(uring_handle(socket).fd, found.get(), &found.length) != 0) return {};
  return found.to_address();
}

bool UringReactor::peer_has_ended(const Socket& socket) const {
  pollfd looked_at{.fd = uring_handle(socket).fd, .events = POLLRDHUP, .revents = 0};
  return ::poll(&looked_at, 1, 0) > 0;
}

}  // namespace millrace
