// SimDevice: the disk of a node at work: operations in flight, each of which takes effect when its time has
// come, whether or not the process that asked for it still lives; and the locks on files.
//
// While a write is in flight its buffers must not change, which is CHECKed, and who reads the same sectors
// gets the old bytes or the new ones, each sector for itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "engine/reactor/request.h"
#include "engine/reactor/sim_disk.h"
#include "engine/reactor/sim_events.h"

namespace millrace {

// What the kernel keeps of an operation once it has it.
struct SimDiskRequest {
  SimAccess access;
  std::string path_to;  // rename
  OpenOptions open;     // open
  SimFileId file = 0;   // verbs on open files
  bool is_direct = false;
  Slices slices;  // read, write: kept until the operation has ended
  std::uint64_t process = 0;
};

struct SimDiskReply {
  int error = 0;
  std::uint64_t count = 0;
  SimFileId file = 0;  // open, lock: counted as open, the receiver closes it
  std::vector<FolderEntry> entries;
  std::string bytes;  // transfer
};

class SimDevice {
 public:
  using Done = std::move_only_function<void(SimDiskReply)>;

  SimDevice(SimEvents& events, SimRandom& random, SimDisk& disk)
      : events_(events), random_(random), disk_(disk) {}

  // Begins an operation; `done` is called when it has taken effect, and must stand that its process is gone.
  void submit(SimDiskRequest request, Done done);
  // Gives up a lock: at once, or when the last operation in flight of its process has ended.
  void unlock(SimFileId file, std::uint64_t process);
  // Calls `action` when nothing of the process is in flight any more, perhaps at once.
  void when_idle(std::uint64_t process, SimEvents::Action action);
  // The process is gone; what it has in flight goes on.
  void process_ended(std::uint64_t process);
  void power_cut(SimCut cut);
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }

 private:
  struct Flight {
    SimDiskRequest request;
    Done done;
    SimMark mark = 0;         // sync: what it covers
    std::uint64_t moved = 0;  // read, write: bytes already
    bool cut_short = false;   // read, write: it went in parts
    std::uint64_t hash = 0;   // write: of its bytes when it began
  };
  struct Lock {
    std::uint64_t process = 0;
    bool given_up = false;
  };
  void schedule(std::uint64_t id);
  void complete(std::uint64_t id);
  // Applies the rule that hits the operation, if any. False: the operation came back short and goes on later.
  bool take_effect(Flight& flight, Sync sync, SimDiskReply& reply);
  bool take_effect_as_asked(Flight& flight, Sync sync, std::int64_t shift, SimDiskReply& reply);
  void fail_and_forget(Flight& flight, int error, SimDiskReply& reply);
  void take_effect_on_names(const SimDiskRequest& request, SimDiskReply& reply);
  // Where the transfer stops this time.
  std::uint64_t stop_of(Flight& flight);
  bool write(Flight& flight, Sync sync, std::int64_t shift, SimDiskReply& reply);
  bool read(Flight& flight, SimDiskReply& reply);
  // What a reader gets while others write.
  std::uint64_t read_at(SimFileId file, std::uint64_t position, std::span<std::byte> into);
  void lock(const SimDiskRequest& request, SimDiskReply& reply);
  void release_locks(std::uint64_t process);

  SimEvents& events_;
  SimRandom& random_;
  SimDisk& disk_;
  std::map<std::uint64_t, Flight> in_flight_;
  std::map<std::uint64_t, std::uint32_t> in_flight_of_;   // by process
  std::map<std::uint64_t, SimEvents::Action> when_idle_;  // by process
  std::map<SimFileId, Lock> locks_;
  std::uint64_t next_id_ = 1;
};

}  // namespace millrace
