#include "tests/tools/relay.h"

#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/check.h"

namespace millrace::tools::test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int new_socket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  return fd;
}

}  // namespace

Relay::Relay(const std::string& server) : listener_(new_socket()), server_(new_socket()) {
  const auto port = static_cast<std::uint16_t>(std::stoi(server.substr(server.rfind(':') + 1)));
  sockaddr_in address = loopback(port);
  CHECK(::connect(server_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  address = loopback(0);
  CHECK(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(::listen(listener_, 1) == 0);
  socklen_t length = sizeof address;
  CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  thread_ = std::thread([this] {
    pass_on();
    asked_.release();
  });
}

Relay::~Relay() {
  // The thread waits in accept() or in poll(), or has ended.
  for (const int fd : {listener_, server_, client_.load()}) ::shutdown(fd, SHUT_RDWR);
  thread_.join();
  for (const int fd : {listener_, server_, client_.load()}) ::close(fd);
}

void Relay::pass_on() {
  client_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  std::array<pollfd, 2> ends{pollfd{client_, POLLIN, 0}, pollfd{server_, POLLIN, 0}};
  std::array<char, 65536> piece;
  while (::poll(ends.data(), ends.size(), -1) > 0) {
    for (const pollfd& from : ends) {
      if (from.revents == 0) continue;
      const ssize_t count = ::recv(from.fd, piece.data(), piece.size(), 0);
      if (count <= 0 || stalled_) return;
      const int to = from.fd == client_ ? server_ : client_.load();
      if (::send(to, piece.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) != count) return;
    }
  }
}

}  // namespace millrace::tools::test
