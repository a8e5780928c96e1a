// SimReactor: a shard of a simulated process. What it does with each verb is in sim_reactor_files.cpp and
// sim_reactor_sockets.cpp; worlds and tests deal with SimWorld and SimNode.
//
// A turn runs whatever events of the world have made ready since the last one; it takes no time. Every
// operation ends in an event of its own, so never before its verb has returned.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/sim_device.h"
#include "engine/reactor/sim_network.h"

namespace millrace {

class SimNode;
class SimWorld;

class SimReactor final : public Reactor {
 public:
  struct Place {  // where it runs
    std::uint64_t process = 0;
    ShardId shard;
    std::uint32_t shard_count = 1;
  };
  SimReactor(SimWorld& world, SimNode& node, Place place, LogSink sink);
  ~SimReactor() override;

  [[nodiscard]] WallTime wall_clock() const override;
  [[nodiscard]] std::uint64_t random() override;
  void post(ShardId target, Message message) override;
  [[nodiscard]] Address local_address(const Socket& socket) const override;
  [[nodiscard]] Address peer_address(const Socket& socket) const override;
  [[nodiscard]] bool peer_has_ended(const Socket& socket) const override;

  // ---- for SimNode ----------------------------------------------------------
  // Something may be ready to run: there will be a turn.
  void wake();
  // A message of a peer has arrived.
  void receive(Message message);
  void signal(int number);
  // Its main has returned: destroys its tasks, whose destructors may still post to other shards, and then as
  // stop() does.
  void end();
  // The process is gone: destroys its tasks and ends its operations, with no effect on anything outside from
  // here on but that of operations in flight. Afterwards messages for it are destroyed unrun, and only the
  // destructor may be called, and this again.
  void stop();
  // "write of journal/0 at 4096": what is in flight, a line each.
  [[nodiscard]] std::vector<std::string> waiting();
  [[nodiscard]] bool in_turn() const { return in_turn_; }

 protected:
  void begin(std::uint32_t slot) override;
  void cancel(std::uint32_t slot) override;
  void release_handle(HandleState* state) override;

 private:
  // An operation as events refer to it: the reactor is null once it has ended.
  struct Flight {
    SimReactor* reactor = nullptr;
    std::uint32_t slot = 0;
    std::uint64_t moved = 0;  // send: bytes the window has taken; receive: those that are in the slice
    std::string bytes;        // transfer: what was read
    bool is_syncing = false;  // a synced write without RWF_DSYNC: in its second half
  };
  using FlightPtr = std::shared_ptr<Flight>;
  struct FileState;
  struct SocketState;

  void turn();
  // Ends an operation.
  void complete(Flight& flight, Outcome outcome);
  void complete(Flight& flight, int error) {
    complete(flight, Outcome{.error = error, .handle = {}, .entries = {}});
  }
  // Runs `step` as an event of its own, if the operation is still under way then.
  void soon(const FlightPtr& flight, void (SimReactor::*step)(const FlightPtr&));
  [[nodiscard]] SimEvents::Action when_ready(const FlightPtr& flight,
                                             void (SimReactor::*step)(const FlightPtr&));
  void add_timer(std::uint32_t slot, MonotonicTime time);
  void arm_timer();
  void run_timers();
  [[nodiscard]] static bool works_on_disk(Verb verb);

  // sim_reactor_files.cpp
  void begin_on_disk(const FlightPtr& flight);
  void submit(const FlightPtr& flight, SimDiskRequest request);
  void disk_done(const FlightPtr& flight, SimDiskReply reply);
  void refuse_file(const FlightPtr& flight);
  [[nodiscard]] Handle make_file(const Request& opened, SimFileId file);
  void close_file(FileState& file);

  // sim_reactor_sockets.cpp
  void begin_on_network(const FlightPtr& flight);
  void begin_connect(const FlightPtr& flight);
  void do_listen(const FlightPtr& flight);
  void do_shutdown(const FlightPtr& flight);
  void try_accept(const FlightPtr& flight);
  void try_receive(const FlightPtr& flight);
  void try_send(const FlightPtr& flight);
  void try_transfer(const FlightPtr& flight);
  [[nodiscard]] Handle make_socket(SimSocketId socket);
  void release_socket(SocketState& socket);

  SimWorld& world_;
  SimNode& node_;
  const std::uint64_t process_;
  bool is_stopped_ = false;
  bool in_turn_ = false;
  bool turn_is_due_ = false;
  std::shared_ptr<SimReactor*> self_;  // null behind it once stopped: for events that may come later
  std::vector<FlightPtr> flights_;     // by slot
  std::vector<Message> inbox_;
  std::vector<MonotonicTime> last_post_;                      // by target: keeps the order
  std::set<std::pair<MonotonicTime, std::uint32_t>> timers_;  // deadlines and sleeps, by slot
  MonotonicTime timer_event_ = k_never;                       // the earliest event that runs them
  int pending_signal_ = 0;
  bool has_logged_fallback_ = false;
};

}  // namespace millrace
