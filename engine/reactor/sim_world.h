// SimWorld: a whole cluster in one thread, on virtual time, decided by one seed.
//
//   SimWorld world(seed);
//   SimNode& server = world.add_node("server");  // 10.0.0.1, with a disk of its own
//   SimNode& client = world.add_node("client");  // 10.0.0.2
//   server.start(2, [](Reactor& reactor) -> Task<void> { co_await serve(reactor); });  // on each of 2 shards
//   client.start(1, [](Reactor& reactor) -> Task<void> { co_await produce(reactor); });
//   world.after_each_event([&] { check_invariants(); });
//   ASSERT_EQ(world.run_until([&] { return !client.running(); }), SimEnd::reached) << world.waiting();
//   server.power_cut();     // what was synced is left, and of the rest what the seed lets survive
//   server.start(2, ...);   // recovers from the same disk
//
// The same seed and the same binary give the same run, event for event: trace_hash() is the proof. What may
// differ between two seeds: latencies of disks and links and so every order of completion, the sizes that
// receive() returns, what a power cut leaves, and Reactor::random(). Tasks take no time; from a shard's wake
// to its turn passes up to `turn_max`.
//
// Make each seed a test case of its own: a CHECK that fails ends the program, and the case's name is then the
// only trace of the seed.
//
// A Slice or File that the test itself holds must not outlive the process it came from, and a process cannot
// be ended from one of its own coroutines: use world.after().
//
// Where faults are: of disks in sim_disk.h, of links in sim_network.h, of processes and clocks in sim_node.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "engine/base/limits.h"
#include "engine/base/time.h"
#include "engine/reactor/sim_disk.h"
#include "engine/reactor/sim_events.h"
#include "engine/reactor/sim_network.h"
#include "engine/reactor/sim_node.h"
#include "engine/reactor/sim_random.h"

namespace millrace {

struct SimOptions {
  // Each shard's pool.
  BufferPool::Options buffers{.bytes_max = 256_MiB, .idle_bytes_max = 4_MiB};
  // Capacity of each node's disk.
  std::uint64_t disk_capacity = 16_GiB;
  // From a shard's wake to its turn.
  Duration turn_max = std::chrono::microseconds(5);
  // wall_clock() of every node at the start of the world.
  WallTime wall_start{1'767'225'600'000};  // 2026-01-01
  // Every line the engine logs, as "12.345678 server/0 warning: text"; nothing by default.
  std::function<void(const std::string& line)> log;
};

// Why a run returned.
enum class SimEnd : std::uint8_t {
  reached,      // what was waited for is true
  out_of_time,  // the limit of virtual time passed first
  deadlock,     // nothing is left that could ever happen, and it is not true: somebody waits for ever
};
[[nodiscard]] const char* name(SimEnd end);
std::ostream& operator<<(std::ostream& out, SimEnd end);  // for messages of tests

class SimWorld {
 public:
  explicit SimWorld(std::uint64_t seed, SimOptions options = {});
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  // ---- what there is --------------------------------------------------------
  // A machine with an empty disk and nothing running; its address is 10.0.0.N, N from 1 in the order of
  // adding.
  SimNode& add_node(std::string name);
  [[nodiscard]] SimNode& node(std::size_t index) { return *nodes_[index]; }
  [[nodiscard]] std::size_t node_count() const { return nodes_.size(); }
  [[nodiscard]] SimNetwork& network() { return network_; }
  // For the script's own choices, so that they follow from the seed.
  [[nodiscard]] SimRandom& random() { return random_; }
  [[nodiscard]] const SimOptions& options() const { return options_; }
  [[nodiscard]] SimEvents& events() { return events_; }

  // ---- running --------------------------------------------------------------
  // One event; false when there is none left.
  bool step();
  // Runs until `reached` is true, which is asked before the first event and after each one.
  SimEnd run_until(const std::function<bool()>& reached, Duration limit = std::chrono::hours(1));
  // Lets this much time pass, with whatever happens in it.
  void run_for(Duration duration);
  // Starts `main` on one shard of a node that is not running, and runs until it has returned.
  SimEnd run(SimNode& node, SimMain main, Duration limit = std::chrono::hours(1));
  // Runs a step of the script after a delay, between two events of the world: a fault, a heal, a restart.
  void after(Duration delay, SimEvents::Action action);
  // Called after every event: where invariants are checked.
  void after_each_event(std::function<void()> check) { after_event_ = std::move(check); }

  // ---- seeing ---------------------------------------------------------------
  [[nodiscard]] MonotonicTime now() const { return events_.now(); }
  [[nodiscard]] std::uint64_t event_count() const { return events_.count(); }
  [[nodiscard]] std::uint64_t trace_hash() const { return events_.trace_hash(); }
  // What every running shard waits for, a line each: the first thing to read after a deadlock.
  [[nodiscard]] std::string waiting() const;

  // For nodes: one line of a program's log.
  void log(const SimNode& node, ShardId shard, LogLevel level, const std::string& line) const;

 private:
  SimOptions options_;
  SimRandom random_;
  SimEvents events_;
  SimNetwork network_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::function<void()> after_event_;
};

}  // namespace millrace
