// `millrace serve` as a child process, on a folder of its own and a port that the kernel picks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/support/child.h"
#include "bench/support/settings.h"
#include "engine/reactor/address.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/shard_threads.h"
#include "engine/reactor/task.h"
#include "net/client/client.h"

namespace millrace::bench {

struct ServerSetup {
  std::string data;
  std::vector<std::string> flags{};  // beside the folder and the address
  std::optional<int> cpu{};          // as Child::start() has it
};

// By name, as `millrace status` has them.
using Counters = std::map<std::string, std::uint64_t>;
[[nodiscard]] Task<Result<Counters>> counters_of(Client& client);

class Server {
 public:
  // Returns when it is ready.
  [[nodiscard]] static Result<Server> start(const Settings& settings, const ServerSetup& setup);
  // One shard, on settings.server_cpu.
  [[nodiscard]] static Result<Server> start(const Settings& settings, const std::string& data);
  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] double cpu_seconds() const { return child_.cpu_seconds(); }
  [[nodiscard]] std::uint64_t resident_bytes() const { return child_.resident_bytes(); }
  [[nodiscard]] Result<Counters> counters() const;
  // Returns when it has not written anything for half a second: a start fills the journal's files in the
  // background, and what was appended is moved to segments. timed_out after a minute.
  [[nodiscard]] Result<void> wait_for_rest() const;
  // Stops it cleanly.
  [[nodiscard]] Result<void> stop();
  void kill() { child_.kill(); }

 private:
  Server(Child child, Address address) : child_(std::move(child)), address_(std::move(address)) {}
  Child child_;
  Address address_;
};

// Runs `function(Client&)`, a Task<Result<void>>, on a reactor of the calling thread.
template <class Function>
Result<void> with_client(const Address& server, Function function) {
  ShardsOptions options;
  TRY(Result<void> done, run_uring(options, [&](UringReactor& reactor) -> Task<Result<void>> {
        Client client(reactor, {.server = server, .name = "millrace-bench"});
        co_return co_await function(client);
      }));
  return done;
}

// Clients with a connection each.
using Clients = std::vector<std::unique_ptr<Client>>;
[[nodiscard]] Task<Result<Clients>> connect_clients(Reactor& reactor, const Address& server,
                                                    std::uint32_t count);

// Topics that keep what a short measurement reads back of them, no more.
inline constexpr std::uint64_t k_topic_retention = 2_GiB;

}  // namespace millrace::bench
