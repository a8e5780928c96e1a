// Address (address.h) to and from what the kernel calls a sockaddr.
#pragma once

#include <optional>
#include <sys/socket.h>

#include "engine/reactor/address.h"

namespace millrace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] Address to_address() const;
};

// Nothing when the host is no numeric address.
[[nodiscard]] std::optional<SocketAddress> to_socket_address(const Address& address);

}  // namespace millrace
