// The faults of sweeps: each hits the operations of a simulated disk one by one, a run for each.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <gtest/gtest.h>
#include <initializer_list>
#include <string>
#include <utility>

#include "engine/reactor/sim_faults.h"

namespace millrace::test {

struct IoFault {
  const char* name;
  SimFaults::Kind kind = SimFaults::Kind::fail;
  int error = EIO;
  bool for_ever = false;

  [[nodiscard]] bool hits_transfers_alone() const { return kind == SimFaults::Kind::cut_short; }
  [[nodiscard]] SimFaults::Rule at(std::uint64_t n) const {  // from 1
    return {.matches = hits_transfers_alone() ? on_transfers() : [](const SimAccess&) { return true; },
            .kind = kind,
            .error = error,
            .skip = n - 1,
            .times = for_ever ? SimFaults::k_forever : 1};
  }
  // Those of the operations so far that it may hit.
  [[nodiscard]] std::uint64_t bound(const SimFaults& faults) const {
    return hits_transfers_alone() ? faults.operations(Verb::read) + faults.operations(Verb::write)
                                  : faults.operations();
  }
};

inline constexpr std::array k_io_faults = {
    IoFault{.name = "EioOnce"},
    IoFault{.name = "EioForEver", .for_ever = true},
    IoFault{.name = "EnospcOnce", .error = ENOSPC},
    IoFault{.name = "EnospcForEver", .error = ENOSPC, .for_ever = true},
    // A sector that the device cannot read or remap, and a file system that has given up: none of the names
    // that come to mind first.
    IoFault{.name = "EnodataOnce", .error = ENODATA},
    IoFault{.name = "ErofsForEver", .error = EROFS, .for_ever = true},
    IoFault{.name = "EioAfterTakingEffect", .kind = SimFaults::Kind::fail_late},
    IoFault{.name = "ShortOnce", .kind = SimFaults::Kind::cut_short},
    IoFault{.name = "ShortForEver", .kind = SimFaults::Kind::cut_short, .for_ever = true},
};

// The operations that a fault may hit in a life without faults, and all of that life, by verb.
struct IoFaultBound {
  std::uint64_t operations = 0;
  std::string described;
  // What the life is for and did not come to: "" or, say, "no checkpoint, no cold read". Operations that
  // never happen cannot be hit.
  std::string missed;
};

// "no NAME" of each that did not happen.
inline std::string missed_of(std::initializer_list<std::pair<const char*, bool>> happened) {
  std::string missed;
  for (const auto& [what, has] : happened) {
    if (!has) missed.append(missed.empty() ? "no " : ", no ").append(what);
  }
  return missed;
}

// Lives with the fault at the nth operation, and gives how many were hit.
using LiveWithFault = std::uint64_t (*)(const IoFault& fault, std::uint64_t n);

// Every `step`-th operation from `first` on, each in a life of its own, up to the first failure.
inline void sweep(const IoFault& fault, const IoFaultBound& bound, std::uint64_t first, std::uint64_t step,
                  LiveWithFault live) {
  for (std::uint64_t n = first; n <= bound.operations; n += step) {
    EXPECT_GE(live(fault, n), 1u) << "nothing was hit";
    ASSERT_FALSE(testing::Test::HasFailure())
        << "operation " << n << " of " << bound.operations << " (" << bound.described
        << "); again with MILLRACE_FAULT=" << fault.name << ":" << n;
  }
}

// One life, with the fault that MILLRACE_FAULT names as sweep() does.
inline void live_with_chosen_fault(LiveWithFault live) {
  const char* chosen = std::getenv("MILLRACE_FAULT");
  const std::string text = chosen != nullptr ? chosen : "EioOnce:100";
  const std::size_t colon = text.find(':');
  ASSERT_NE(colon, std::string::npos) << text;
  for (const IoFault& fault : k_io_faults) {
    if (text.substr(0, colon) != fault.name) continue;
    EXPECT_GE(live(fault, std::stoull(text.substr(colon + 1))), 1u);
    return;
  }
  FAIL() << "no fault is named " << text.substr(0, colon);
}

}  // namespace millrace::test
