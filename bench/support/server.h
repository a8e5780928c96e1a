// `millrace serve` as a child process, on a folder of its own and a port that the kernel picks.
#pragma once

#include <string>

#include "bench/support/child.h"
#include "bench/support/settings.h"
#include "engine/reactor/address.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/shard_threads.h"
#include "net/client/client.h"

namespace millrace::bench {

class Server {
 public:
  // Returns when it is ready. One shard, on settings.server_cpu.
  [[nodiscard]] static Result<Server> start(const Settings& settings, const std::string& data);
  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] double cpu_seconds() const { return child_.cpu_seconds(); }
  // Stops it cleanly.
  [[nodiscard]] Result<void> stop();

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

// Topics that keep what a short measurement reads back of them, no more.
inline constexpr std::uint64_t k_topic_retention = 2_GiB;

}  // namespace millrace::bench
