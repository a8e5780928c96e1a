// Where a server is, as people write it: a host by name or number, and a port.
//
// Reading it asks nobody; what the name stands for is the system's resolver's answer of the moment, so it is
// asked when a connection or a listener is made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/reactor/address.h"

namespace millrace {

struct HostPort {
  std::string host;  // "localhost", "127.0.0.1", "::1"
  std::uint16_t port = 0;
};

// "127.0.0.1:7420", "[::1]:7420", "localhost:7420". invalid_argument says what was expected.
[[nodiscard]] Result<HostPort> parse_host_port(std::string_view text);
[[nodiscard]] std::string to_string(const HostPort& place);

// The address, IPv4 first where a name has both. Asks the resolver only for a name, and may block then: for
// start-up and command lines, not for a shard at work. unavailable where the name stands for nothing.
[[nodiscard]] Result<Address> resolve(const HostPort& place);

}  // namespace millrace
