// Addresses of listeners and peers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace millrace {

struct Address {
  std::string host;  // a numeric IPv4 or IPv6 address
  std::uint16_t port = 0;
  friend bool operator==(const Address&, const Address&) = default;
};

// "127.0.0.1:7420", "[::1]:7420", "localhost:7420"; resolves a name by the system's resolver, which may
// block: for start-up and command lines, not for a shard at work. Errors: invalid_argument, with what was
// expected; unavailable for a name that stands for nothing.
[[nodiscard]] Result<Address> parse_address(std::string_view text);
[[nodiscard]] std::string to_string(const Address& address);

}  // namespace millrace
