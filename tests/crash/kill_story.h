// KillStory: a server on one folder that is killed again and again, and what its clients know of it. The
// moments are things that the server does, whose numbers come from a seed: the nth acknowledgement, or the
// nth thing that it does to its folder. Never times.
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
  // Kills it while it starts, at whichever step.
  void kill_while_starting();
  // Asks it to stop, and kills it while it does, or just after.
  void kill_while_stopping();
  // Starts it, compares everything and stops it, twice; the second start finds a clean stop.
  void expect_everything();

  [[nodiscard]] const Ledger& ledger() const { return ledger_; }

  // Where kills have met the server: in a start before it took clients, with requests of clients under way,
  // and in a stop before its end.
  struct Met {
    std::uint32_t starting = 0, working = 0, stopping = 0;
  };
  [[nodiscard]] const Met& met() const { return met_; }

 private:
  [[nodiscard]] std::string data() const { return folder_.path("data"); }
  [[nodiscard]] Arguments some_flags();
  [[nodiscard]] LoadMix some_load();
  TestFolder folder_;
  SimRandom random_;
  Ledger ledger_;
  Met met_;
  // What the last whole start and stop have done to the folder, as FolderWatch counts.
  std::uint64_t steps_of_a_start_ = 0, steps_of_a_stop_ = 100;
};

}  // namespace millrace::test
