#include "engine/reactor/sim_faults.h"

#include <utility>

namespace millrace {

SimMatch on_path(std::string part) {
  return [part = std::move(part)](const SimAccess& access) {
    return access.path.find(part) != std::string::npos;
  };
}

SimMatch on(Verb verb, std::string part) {
  return [verb, part = std::move(part)](const SimAccess& access) {
    return access.verb == verb && access.path.find(part) != std::string::npos;
  };
}

void SimFaults::fail_nth(std::uint64_t n, int error, std::uint64_t times) {
  fail({.matches = [](const SimAccess&) { return true; }, .error = error, .skip = n - 1, .times = times});
}

void SimFaults::clear() {
  const std::uint64_t operations = operations_;
  *this = SimFaults{};
  operations_ = operations;
}

const SimFaults::Rule* SimFaults::hit(const SimAccess& access) {
  ++operations_;
  const Rule* found = nullptr;
  for (Rule& rule : rules_) {
    if (rule.times == 0 || !rule.matches(access)) continue;
    if (rule.skip > 0) {
      --rule.skip;
    } else if (found == nullptr) {
      found = &rule;
      if (rule.times != k_forever) --rule.times;
    }
  }
  return found;
}

Duration SimFaults::draw_latency(SimRandom& random) const {
  if (random.chance(stalls)) return random.between(latency_max, stall_max);
  return random.between(latency_min, latency_max);
}

}  // namespace millrace
