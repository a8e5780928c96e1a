#include "bench/support/server.h"

namespace millrace::bench {
namespace {

constexpr std::chrono::seconds k_start_patience(60);

// From "millrace 0.1.0: data DIR, listening on 127.0.0.1:40123, 1 shard".
Result<Address> address_in(const std::string& line) {
  constexpr std::string_view k_before = "listening on ";
  const std::size_t at = line.find(k_before);
  if (at == std::string::npos) return fail(ErrorCode::io_error, "the server said: {}", line);
  const std::size_t begin = at + k_before.size();
  return parse_address(line.substr(begin, line.find_first_of(", ", begin) - begin));
}

}  // namespace

Result<Server> Server::start(const Settings& settings, const std::string& data) {
  TRY(Child child,
      Child::start({settings.millrace, "serve", "--data", data, "--listen", "127.0.0.1:0", "--shards", "1"},
                   settings.server_cpu));
  TRY(const std::string line, child.read_line(k_start_patience));
  TRY(Address address, address_in(line));
  return Server(std::move(child), std::move(address));
}

Result<void> Server::stop() {
  child_.ask_to_stop();
  return child_.wait();
}

}  // namespace millrace::bench
