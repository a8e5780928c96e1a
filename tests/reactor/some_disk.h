// The disk that a story's seed gives it: calm, or one that refuses and disturbs what the reactor has to hide.
#pragma once

#include "engine/reactor/sim_faults.h"

namespace millrace::test {

inline void draw_disk(SimFaults& faults, SimRandom& random) {
  // Buffered writes, and a write and its fdatasync with time for a crash between them; each without the
  // other, too.
  faults.refuse_synced_writes = random.below(4) == 0;
  faults.refuse_direct = random.below(4) == 0;
  if (random.below(3) == 0) faults.short_transfers = 50'000;
  if (random.below(3) == 0) faults.stalls = 2'000;
}

}  // namespace millrace::test
