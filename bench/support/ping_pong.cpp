#include "bench/support/ping_pong.h"

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
  return fail(ErrorCode::io_error, "ping-pong: {}: {}", what, std::strerror(error));
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
void serve(int listener, PingPong setup) {
  if (!stay_on(setup.server_cpu)) return;
  const UniqueFd socket(::accept(listener, nullptr, nullptr));
  Ring ring;
  if (socket.get() < 0 || ring.error() != 0) return;
  set_no_delay(socket.get());
  std::vector<char> question(setup.question_size);
  const std::vector<char> answer(setup.answer_size, 'a');
  ring.receive(socket.get(), question);
  if (!ring.turn(1)) return;
  for (;;) {
    // Answer and next receive leave in one system call.
    ring.send(socket.get(), answer);
    ring.receive(socket.get(), question);
    if (!ring.turn(2)) return;
  }
}

Result<Percentiles> ask(const sockaddr_in& address, const PingPong& setup) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed("connect", errno);
  set_no_delay(socket.get());
  Ring ring;
  if (ring.error() != 0) return failed("io_uring", ring.error());
  const std::vector<char> question(setup.question_size, 'q');
  std::vector<char> answer(setup.answer_size);
  Samples samples;
  for (const auto end = after_seconds(setup.seconds); Clock::now() < end;) {
    const auto begin = Clock::now();
    ring.send(socket.get(), question);
    ring.receive(socket.get(), answer);
    if (!ring.turn(2)) return failed("the round trip was cut short", ECONNRESET);
    samples.record(Clock::now() - begin);
  }
  return percentiles_of(std::move(samples));
}

}  // namespace

Result<Percentiles> run_ping_pong(const PingPong& setup) {
  TRY_VOID(stay_on(setup.client_cpu));
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return failed("listen", errno);
  std::thread server(serve, listener.get(), setup);
  auto measured = ask(address, setup);
  // Wakes a server that still waits to accept; one that has a connection sees its end.
  ::shutdown(listener.get(), SHUT_RDWR);
  server.join();
  return measured;
}

}  // namespace millrace::bench
