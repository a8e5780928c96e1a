// PowerCutStory: a random life of a node's logs, with power cuts, decided by one seed.
#pragma once

#include <cstdint>

#include "engine/reactor/sim_disk.h"
#include "engine/reactor/sim_faults.h"

namespace millrace::test {

struct PowerCutOptions {
  SimMatch ignore_syncs;  // syncs that lie, to prove that the story finds them
  SimCut cut = SimCut::by_seed;
  std::uint32_t cuts = 3;
  bool anonymous_senders =
      false;  // do not say who they are, to prove that the story finds what is stored twice
};

// Lives through the cuts and compares everything after each of them. Failures are those of GoogleTest.
void live_through_power_cuts(std::uint64_t seed, const PowerCutOptions& options = {});

}  // namespace millrace::test
