#include "engine/reactor/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

namespace millrace {

std::optional<SocketAddress> to_socket_address(const Address& address) {
  SocketAddress made;
  if (auto* v4 = reinterpret_cast<sockaddr_in*>(&made.storage);
      ::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    made.length = sizeof *v4;
    return made;
  }
  if (auto* v6 = reinterpret_cast<sockaddr_in6*>(&made.storage);
      ::inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    made.length = sizeof *v6;
    return made;
  }
  return std::nullopt;
}

Address SocketAddress::to_address() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return {text, ntohs(v4->sin_port)};
  }
  if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return {text, ntohs(v6->sin6_port)};
  }
  return {};
}

}  // namespace millrace
