// The real `millrace` for tests: its server on a folder, its commands, and the client library against it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/reactor/address.h"
#include "engine/reactor/task.h"
#include "net/client/client.h"
#include "tests/crash/program.h"

namespace millrace::test {

struct ServeOptions {
  std::string folder;
  std::uint32_t shards = 1;
  std::vector<std::string> more;  // flags
};

// `millrace serve` with a journal that a test wraps soon, on a free port, with its log.
class ServerProcess : public Program {
 public:
  explicit ServerProcess(const ServeOptions& options);

  // True when clients can connect; false when the server has ended without.
  [[nodiscard]] bool ready();
  // From then on.
  [[nodiscard]] const Address& address() const { return address_; }
  // SIGTERM, and expects the clean end that follows.
  void expect_clean_stop();

 private:
  Address address_;
};

// `millrace COMMAND...` with this server.
[[nodiscard]] std::vector<std::string> command_line(std::vector<std::string> arguments,
                                                    const Address& server);

// A client that gives up at the first failed attempt to connect and waits for answers as long as it takes:
// what a server took and did not answer could otherwise still happen when the test no longer expects it.
[[nodiscard]] ClientOptions client_options(Address server);

// Runs `script` with a client on a reactor of this thread.
void with_client(const Address& server, const std::function<Task<void>(Client&)>& script);

}  // namespace millrace::test
