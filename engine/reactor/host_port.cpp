#include "engine/reactor/host_port.h"

#include <arpa/inet.h>
#include <charconv>
#include <fmt/format.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace millrace {
namespace {

constexpr const char* k_expected = "expected HOST:PORT, as in 127.0.0.1:7420 or [::1]:7420";

bool is_numeric(const std::string& host) {
  in6_addr numeric{};
  return ::inet_pton(AF_INET, host.c_str(), &numeric) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &numeric) == 1;
}

std::unexpected<Error> unresolved(const std::string& host, int reason) {
  return fail(ErrorCode::unavailable, "cannot resolve the host name \"{}\": {}", host,
              ::gai_strerror(reason));
}

// The number that the name stands for.
Result<std::string> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int rc = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); rc != 0) {
    // Always loopback, also where nobody has said so (RFC 6761, section 6.3): a minimal system has no hosts
    // file.
    if (host == "localhost") return "127.0.0.1";
    return unresolved(host, rc);
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  // IPv4 first where a name has both: servers listen on 127.0.0.1 unless told otherwise.
  const addrinfo* best = found;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (at->ai_family == AF_INET) {
      best = at;
      break;
    }
  }
  char text[NI_MAXHOST];
  const int rc =
      ::getnameinfo(best->ai_addr, best->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  if (rc != 0) return unresolved(host, rc);
  return std::string(text);
}

}  // namespace

Result<HostPort> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return fail(ErrorCode::invalid_argument, "\"{}\" is no address: {}", text, k_expected);
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find_first_of(":[]") != std::string_view::npos) {
    return fail(ErrorCode::invalid_argument, "\"{}\" is no address: {}", text, k_expected);
  }

  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (port_text.empty() || error != std::errc{} || end != port_text.data() + port_text.size()) {
    return fail(ErrorCode::invalid_argument, "\"{}\" in \"{}\" is no port (0 to 65535): {}", port_text, text,
                k_expected);
  }
  return HostPort{std::string(host), port};
}

std::string to_string(const HostPort& place) {
  return to_string(Address{place.host, place.port});
}

Result<Address> resolve(const HostPort& place) {
  if (is_numeric(place.host)) return Address{place.host, place.port};
  TRY(std::string number, look_up(place.host));
  return Address{std::move(number), place.port};
}

}  // namespace millrace
