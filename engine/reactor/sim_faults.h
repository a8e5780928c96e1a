// SimFaults: what goes wrong on a simulated disk, set by a test at any time. sim_disk.h has the fault model.
//
//   // the next sync of such a file fails
//   disk.faults().fail({.matches = on(Verb::sync, "journal"), .error = EIO});
//   // operation 17 from now, and all after it
//   disk.faults().fail_nth(17, EIO, SimFaults::k_forever);
//   // the 17th read or write from now moves a part of its bytes only
//   disk.faults().fail({.matches = on_transfers(), .kind = SimFaults::Kind::cut_short, .skip = 16});
//   // these report success and make nothing durable
//   disk.faults().ignore_syncs = on_path("journal");
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/reactor/request.h"
#include "engine/reactor/sim_random.h"

namespace millrace {

// One operation of a disk as faults see it.
struct SimAccess {
  Verb verb{};
  std::string path;  // the name the operation used; for an open file, the one it was opened by
  std::uint64_t position = 0;
  std::uint64_t length = 0;
  Sync sync = Sync::no;
};
using SimMatch = std::function<bool(const SimAccess&)>;
// Matches by a part of the path, and by verb.
[[nodiscard]] SimMatch on_path(std::string part);
[[nodiscard]] SimMatch on(Verb verb, std::string part = {});
// Matches reads and writes.
[[nodiscard]] SimMatch on_transfers();

class SimFaults {
 public:
  static constexpr std::uint64_t k_forever = ~std::uint64_t{0};
  enum class Kind : std::uint8_t {
    fail,       // gives `error`; nothing happens on the disk
    fail_late,  // gives `error` after it has taken effect, unsynced
    // A sync, or the sync in a write, that fails as on Linux: the pages are taken for clean, so they stay
    // readable and the next sync succeeds without writing them. Of a direct file there are no pages: what its
    // device holds stays pending. Other verbs fail.
    fail_and_forget,
    // A read or a write that moves a part of its bytes, whole sectors, and is continued by the reactor: the
    // program sees nothing of it, but for a synced write, which ends with EIO once all bytes are there. Other
    // verbs pass.
    cut_short,
    lose,      // a write that reports success and writes nothing
    misdirect  // a write that lands `shift` bytes further on
  };
  struct Rule {
    SimMatch matches;
    Kind kind = Kind::fail;
    int error = 5;  // EIO
    std::int64_t shift = 4096;
    std::uint64_t skip = 0;   // matching operations to let pass first
    std::uint64_t times = 1;  // then so many are hit
  };

  void fail(Rule rule) { rules_.push_back(std::move(rule)); }
  // The nth operation of any kind from now, from 1: for sweeps that fail each one in turn.
  void fail_nth(std::uint64_t n, int error, std::uint64_t times = 1);
  void clear();

  // Syncs (sync, sync_folder, the Sync::data of a write) that report success and make nothing durable: how a
  // test proves that leaving this one out would be found.
  SimMatch ignore_syncs;
  // Open refuses O_DIRECT; the file is buffered then.
  bool refuse_direct = false;
  // RWF_DSYNC is not supported; a synced write is then a write and an fdatasync, with time for a crash
  // between.
  bool refuse_synced_writes = false;
  // Parts in a million of the reads and writes that are cut short, but for synced writes; and of the
  // transfers, which are not continued.
  std::uint32_t short_transfers = 0;

  // ---- time (how long an operation takes) -----------------------------------
  Duration latency_min = std::chrono::microseconds(20);
  Duration latency_max = std::chrono::microseconds(120);  // evenly drawn, so completions change order
  std::uint32_t stalls = 0;  // parts in a million of operations that take up to stall_max
  Duration stall_max = std::chrono::seconds(2);

  // ---- for the disk ---------------------------------------------------------
  // The rule that hits this operation, if any; counts it.
  [[nodiscard]] const Rule* hit(const SimAccess& access);
  [[nodiscard]] bool ignores_sync(const SimAccess& access) const {
    return ignore_syncs && ignore_syncs(access);
  }
  // Operations so far: the bound of a sweep. And how many of them a rule has hit: the proof of one.
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  [[nodiscard]] std::uint64_t operations(Verb verb) const;
  [[nodiscard]] std::uint64_t hits() const { return hits_; }
  // "open 12, read 40, write 310": operations so far by verb, for messages.
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] Duration draw_latency(SimRandom& random) const;

 private:
  std::vector<Rule> rules_;
  std::uint64_t operations_ = 0;
  std::uint64_t hits_ = 0;
  std::map<Verb, std::uint64_t> operations_of_;
};

}  // namespace millrace
