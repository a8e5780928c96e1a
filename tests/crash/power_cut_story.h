// A random life of a whole server in simulation, with clients at work on it and power cuts, decided by one
// seed.
#pragma once

#include <cstdint>

#include "engine/reactor/sim_faults.h"

namespace millrace::test {

struct ServerPowerCutOptions {
  SimMatch ignore_syncs;  // syncs that lie, to prove that the story finds them
  std::uint32_t cuts = 3;
};

struct ServerPowerCutLife {
  std::uint64_t trace_hash = 0;    // of everything that happened
  std::uint64_t acknowledged = 0;  // records
};

// Lives through the cuts and compares everything after each of them; the failures are those of GoogleTest.
ServerPowerCutLife live_through_server_power_cuts(std::uint64_t seed,
                                                  const ServerPowerCutOptions& options = {});

}  // namespace millrace::test
