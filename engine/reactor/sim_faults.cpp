#include "engine/reactor/sim_faults.h"

#include <fmt/format.h>
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

SimMatch on_transfers() {
  return [](const SimAccess& access) { return access.verb == Verb::read || access.verb == Verb::write; };
}

void SimFaults::fail_nth(std::uint64_t n, int error, std::uint64_t times) {
  fail({.matches = [](const SimAccess&) { return true; }, .error = error, .skip = n - 1, .times = times});
}

void SimFaults::clear() {
  SimFaults none;
  none.operations_ = operations_;
  none.operations_of_ = std::move(operations_of_);
  none.hits_ = hits_;
  *this = std::move(none);
}

const SimFaults::Rule* SimFaults::hit(const SimAccess& access) {
  ++operations_;
  ++operations_of_[access.verb];
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
  if (found != nullptr) ++hits_;
  return found;
}

std::uint64_t SimFaults::operations(Verb verb) const {
  const auto found = operations_of_.find(verb);
  return found == operations_of_.end() ? 0 : found->second;
}

std::string SimFaults::describe() const {
  std::string text;
  for (const auto& [verb, count] : operations_of_) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name(verb), count);
  }
  return text;
}

Duration SimFaults::draw_latency(SimRandom& random) const {
  if (random.chance(stalls)) return random.between(latency_max, stall_max);
  return random.between(latency_min, latency_max);
}

}  // namespace millrace
