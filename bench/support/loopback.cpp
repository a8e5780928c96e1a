#include "bench/support/loopback.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "bench/support/settings.h"
#include "engine/reactor/unique_fd.h"

namespace millrace::bench {
namespace {

std::unexpected<Error> failed(const char* what, int error) {
  return fail(ErrorCode::io_error, "loopback: {}: {}", what, std::strerror(error));
}

// The fastest set-up that one thread can have without spinning.
class Ring {
 public:
  Ring()
      : error_(-::io_uring_queue_init(8, &ring_, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)) {
    if (error_ == 0) ::io_uring_register_ring_fd(&ring_);
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    if (error_ == 0) ::io_uring_queue_exit(&ring_);
  }
  [[nodiscard]] int error() const { return error_; }
  void send(int socket, const std::vector<char>& bytes) {
    io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
    ::io_uring_prep_send(sqe, socket, bytes.data(), bytes.size(), MSG_WAITALL | MSG_NOSIGNAL);
    ::io_uring_sqe_set_data64(sqe, bytes.size());
  }
  void receive(int socket, std::vector<char>& bytes) {
    io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
    ::io_uring_prep_recv(sqe, socket, bytes.data(), bytes.size(), MSG_WAITALL);
    ::io_uring_sqe_set_data64(sqe, bytes.size());
  }
  // Submits what was asked for and waits for `count` completions. False when one moved fewer bytes than
  // asked.
  [[nodiscard]] bool turn(unsigned count) {
    if (::io_uring_submit_and_wait(&ring_, count) < 0) return false;
    bool whole = true;
    for (; count > 0; --count) {
      io_uring_cqe* cqe = nullptr;
      if (::io_uring_wait_cqe(&ring_, &cqe) != 0) return false;
      whole = whole && cqe->res >= 0 && static_cast<std::uint64_t>(cqe->res) == cqe->user_data;
      ::io_uring_cqe_seen(&ring_, cqe);
    }
    return whole;
  }

 private:
  io_uring ring_{};
  int error_;
};

void set_no_delay(int socket) {
  const int one = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

// Answers until the peer closes.
void answer(int socket, Ring& ring, const PingPong& setup) {
  std::vector<char> question(setup.question_size);
  const std::vector<char> answer(setup.answer_size, 'a');
  ring.receive(socket, question);
  if (!ring.turn(1)) return;
  for (;;) {
    // Answer and next receive leave in one system call.
    ring.send(socket, answer);
    ring.receive(socket, question);
    if (!ring.turn(2)) return;
  }
}

Result<Percentiles> ask(int socket, Ring& ring, const PingPong& setup) {
  const std::vector<char> question(setup.question_size, 'q');
  std::vector<char> answer(setup.answer_size);
  Samples samples;
  for (const auto end = after_seconds(setup.seconds); Clock::now() < end;) {
    const auto begin = Clock::now();
    ring.send(socket, question);
    ring.receive(socket, answer);
    if (!ring.turn(2)) return failed("the round trip was cut short", ECONNRESET);
    samples.record(Clock::now() - begin);
  }
  return percentiles_of(std::move(samples));
}

// Until the peer closes.
void take(int socket, Ring& ring, const Stream& setup) {
  std::vector<char> message(setup.message_size);
  do ring.receive(socket, message);
  while (ring.turn(1));
}

Result<double> stream(int socket, Ring& ring, const Stream& setup) {
  const std::vector<char> message(setup.message_size, 'm');
  const auto begin = Clock::now();
  double bytes = 0;
  for (const auto end = after_seconds(setup.seconds); Clock::now() < end;) {
    ring.send(socket, message);
    if (!ring.turn(1)) return failed("the stream was cut short", ECONNRESET);
    bytes += setup.message_size;
  }
  // The other side closes when it has everything.
  char nothing = 0;
  if (::shutdown(socket, SHUT_WR) != 0 || ::recv(socket, &nothing, 1, 0) != 0)
    return failed("the end of the stream", errno);
  return bytes / seconds_since(begin);
}

Result<UniqueFd> listen_on_loopback(sockaddr_in& address) {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return failed("listen", errno);
  return listener;
}

// Runs `serve(socket, Ring&)` on a thread, and `ask(socket, Ring&)` here, on the two ends of a connection.
template <class Setup, class Serve, class Ask>
auto on_loopback(const Setup& setup, Serve serve, Ask ask) -> decltype(ask(0, std::declval<Ring&>(), setup)) {
  TRY_VOID(stay_on(setup.client_cpu));
  sockaddr_in address{};
  TRY(const UniqueFd listener, listen_on_loopback(address));
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // The kernel takes the connection before anyone accepts it.
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed("connect", errno);
  set_no_delay(socket.get());
  Ring ring;
  if (ring.error() != 0) return failed("io_uring", ring.error());
  std::thread server([&] {
    const UniqueFd accepted(::accept(listener.get(), nullptr, nullptr));
    Ring own;
    if (accepted.get() < 0 || own.error() != 0 || !stay_on(setup.server_cpu)) return;
    set_no_delay(accepted.get());
    serve(accepted.get(), own, setup);
  });
  auto measured = ask(socket.get(), ring, setup);
  ::shutdown(socket.get(), SHUT_RDWR);  // the server sees the end
  server.join();
  return measured;
}

}  // namespace

Result<Percentiles> run_ping_pong(const PingPong& setup) {
  return on_loopback(setup, answer, ask);
}

Result<double> run_stream(const Stream& setup) {
  return on_loopback(setup, take, stream);
}

}  // namespace millrace::bench
