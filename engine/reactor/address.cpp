#include "engine/reactor/address.h"

#include <fmt/format.h>

#include "engine/reactor/host_port.h"

namespace millrace {

Result<Address> parse_address(std::string_view text) {
  TRY(const HostPort place, parse_host_port(text));
  return resolve(place);
}

std::string to_string(const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address.host, address.port)
            : fmt::format("{}:{}", address.host, address.port);
}

}  // namespace millrace
