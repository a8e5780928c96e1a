// ServerStory: a node and a client machine in a simulated world. The node runs what `millrace serve` runs;
// scripts talk to it as peers.
//
//   ServerStory story({.shards = 4});
//   story.run([](Reactor& here, Address server) -> Task<void> {          // starts the node, runs the script,
//     Peer peer = co_await Peer::greeted(here, server);                  // stops the node by SIGTERM, and
//     expects a
//     ...                                                                // clean end
//   });
#pragma once

#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/reactor/sim_world.h"
#include "net/node.h"
#include "tests/net/server_peer.h"

namespace millrace::test {

class ServerStory {
 public:
  struct Options {
    std::uint32_t shards = 1;
    std::uint64_t seed = 1;
    // Of each shard.
    BufferPool::Options buffers{.bytes_max = 256_MiB, .idle_bytes_max = 4_MiB};
  };
  using Script = std::function<Task<void>(Reactor& here, Address server)>;

  explicit ServerStory(Options options);
  ServerStory() : ServerStory(Options{}) {}

  // Of the next start.
  NodeSetup setup;
  Options options;

  void run(const Script& script);

  // The parts of run(). start() returns when clients can connect, or the node has ended; begin() at once.
  void start();
  void begin();
  // False: the script has not ended, and the test has failed.
  bool run_script(const Script& script);
  // SIGTERM; the node's result.
  Result<void> stop();
  void expect_clean_stop();
  // Kills it, if it runs, and lets what it has in flight land: until then it holds its folder's lock.
  void kill();

  [[nodiscard]] SimWorld& world() { return world_; }
  [[nodiscard]] SimNode& server() { return server_; }
  [[nodiscard]] SimNode& client() { return client_; }
  // What the node said when it was ready, since the last start().
  [[nodiscard]] const std::optional<NodeStarted>& started() const { return started_; }
  // The node's result, once it has ended.
  [[nodiscard]] const std::optional<Result<void>>& result() const { return result_; }
  // Why the node has ended, for messages.
  [[nodiscard]] std::string why() const;
  // Lines that were logged, in order.
  [[nodiscard]] const std::vector<std::string>& log() const { return log_; }
  [[nodiscard]] bool logged(std::string_view part) const;

 private:
  std::vector<std::string> log_;
  SimWorld world_;
  SimNode& server_;
  SimNode& client_;
  std::optional<NodeStarted> started_;
  std::optional<Result<void>> result_;
};

// Each operation of the server's disk takes so long, until end() or the end of this.
class SlowDisk {
 public:
  SlowDisk(ServerStory& story, Duration latency)
      : faults_(story.server().disk().faults()), min_(faults_.latency_min), max_(faults_.latency_max) {
    faults_.latency_min = faults_.latency_max = latency;
  }
  ~SlowDisk() { end(); }
  SlowDisk(const SlowDisk&) = delete;
  SlowDisk& operator=(const SlowDisk&) = delete;
  void end() {
    faults_.latency_min = min_;
    faults_.latency_max = max_;
  }

 private:
  SimFaults& faults_;
  const Duration min_, max_;
};

// Time passes.
Task<void> pass(Reactor& here, Duration time);

// Setup of a small node: a journal and segments that a test fills soon.
[[nodiscard]] NodeSetup small_node(std::string folder);

}  // namespace millrace::test
