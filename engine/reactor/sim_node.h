// SimNode: a simulated machine: a disk that outlives everything, and at most one running process of one or
// more shards.
//
//      start() -> running -> every shard's main has returned -> ended         (a clean exit)
//                    | a shard whose main has returned is gone at once: its tasks are destroyed, and
//                    | messages for it are destroyed unrun, as shard_threads.h has it
//                    | terminate(): wait_signal() completes; the program is expected to end by itself
//                    | kill():      the process is gone, the kernel and its page cache stay
//                    | power_cut(): the machine is gone
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/sim_device.h"
#include "engine/reactor/sim_disk.h"

namespace millrace {

class SimWorld;
class SimReactor;

// A program: called once for each shard; what it captures lives as long as the process.
using SimMain = std::function<Task<void>(Reactor&)>;

class SimNode {
 public:
  SimNode(SimWorld& world, std::string name, std::uint32_t number);
  ~SimNode();
  SimNode(const SimNode&) = delete;
  SimNode& operator=(const SimNode&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint32_t number() const { return number_; }  // from 1
  // "10.0.0.<number>:port". Inside the node 127.0.0.1 and 0.0.0.0 mean the same host.
  [[nodiscard]] Address address(std::uint16_t port) const;
  [[nodiscard]] SimDisk& disk() { return disk_; }
  [[nodiscard]] SimDevice& device() { return device_; }

  // ---- the process ----------------------------------------------------------
  // CHECKs that none is running.
  void start(std::uint32_t shards, SimMain main);
  [[nodiscard]] bool running() const { return process_ != nullptr; }
  // A shard of the running process.
  [[nodiscard]] Reactor& shard(std::uint32_t index);
  // How often start() was called.
  [[nodiscard]] std::uint32_t starts() const { return starts_; }
  // What its shards wait for, a line each.
  [[nodiscard]] std::string waiting() const;

  // Delivers a signal (15: SIGTERM, 2: SIGINT) to wait_signal(), now or when it is called.
  void terminate(int signal = 15);
  // SIGKILL. No coroutine runs another step; their frames are destroyed, and what destructors begin has no
  // effect on the world. Disk operations in flight still take effect when their
  // time comes; a lock is held until they have; what was written stays in the page cache, synced or not.
  // Peers see a reset a little later.
  void kill();
  // The plug. Disk operations in flight and everything not synced survive as `cut` says. Peers notice after
  // seconds, or when the node is back and answers with a reset.
  void power_cut(SimCut cut = SimCut::by_seed);
  // SIGSTOP: no turn of any shard runs for this long; disk and network go on.
  void pause(Duration duration);
  // Sets the wall clock ahead, or back; monotonic time is not affected. Survives restarts.
  void jump_clock(Duration by) { clock_offset_ += by; }

 private:
  friend class SimReactor;
  friend class SimWorld;
  struct Process;
  static Task<void> run_main(SimNode& node, SimReactor& reactor);
  void main_returned(SimReactor& reactor);
  enum class Ending : std::uint8_t { clean, killed, power_cut };
  void end_process(Ending ending);
  [[nodiscard]] SimReactor& reactor(ShardId shard);
  [[nodiscard]] WallTime wall_clock() const;

  SimWorld& world_;
  std::string name_;
  std::uint32_t number_;
  SimDisk disk_;
  SimDevice device_;
  Duration clock_offset_{0};
  MonotonicTime paused_until_{};
  std::uint32_t starts_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace millrace
