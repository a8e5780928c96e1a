// KillStory: a server on one folder that is killed again and again, and what its clients know of it. The
// moments come from a seed: numbers of acknowledgements, or of this process's turns, never times.
#pragma once

#include <cstdint>

#include "engine/reactor/sim_random.h"
#include "tests/crash/ledger.h"
#include "tests/crash/load.h"
#include "tests/crash/serving.h"

namespace millrace::test {

class KillStory {
 public:
  explicit KillStory(std::uint64_t seed) : random_(seed) {}

  // Starts the server, with any number of shards, compares what is new, and lets clients work until it is
  // killed.
  void kill_under_load();
  // Kills it while it starts, or just after.
  void kill_while_starting();
  // Asks it to stop, and kills it while it does, or just after.
  void kill_while_stopping();
  // Starts it, compares everything and stops it, twice; the second start finds a clean stop.
  void expect_everything();

  [[nodiscard]] const Ledger& ledger() const { return ledger_; }

 private:
  [[nodiscard]] std::string data() const { return folder_.path("data"); }
  [[nodiscard]] Arguments some_flags();
  [[nodiscard]] LoadMix some_load();
  void take_some_turns();

  TestFolder folder_;
  SimRandom random_;
  Ledger ledger_;
};

}  // namespace millrace::test
