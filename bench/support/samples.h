// Latencies of one measurement, all of them, so that percentiles are exact.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/support/report.h"

namespace millrace::bench {

using Clock = std::chrono::steady_clock;

[[nodiscard]] inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}
[[nodiscard]] inline Clock::time_point after_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

class Samples {
 public:
  Samples() { ns_.reserve(std::size_t{1} << 20); }
  void record(Clock::duration latency) {
    ns_.push_back(static_cast<std::uint64_t>(std::chrono::nanoseconds(latency).count()));
  }
  [[nodiscard]] std::size_t count() const { return ns_.size(); }
  [[nodiscard]] double mean_us() const {
    double sum = 0;
    for (const std::uint64_t ns : ns_) sum += static_cast<double>(ns);
    return ns_.empty() ? 0 : sum / static_cast<double>(ns_.size()) / 1000;
  }
  // The smallest value that `percent` of all do not exceed.
  [[nodiscard]] double percentile_us(double percent) {
    if (ns_.empty()) return 0;
    std::ranges::sort(ns_);
    const double rank = std::ceil(percent / 100 * static_cast<double>(ns_.size()));
    const auto at = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
    return static_cast<double>(ns_[std::min(at, ns_.size() - 1)]) / 1000;
  }

 private:
  std::vector<std::uint64_t> ns_;
};

struct Percentiles {
  double median_us = 0, p99_us = 0, p999_us = 0;
};
[[nodiscard]] inline Percentiles percentiles_of(Samples samples) {
  return {samples.percentile_us(50), samples.percentile_us(99), samples.percentile_us(99.9)};
}
// Three figures: "what, median", "what, p99", "what, p99.9".
inline void add_percentiles(Report& report, const std::string& what, const Percentiles& of) {
  report.add(what + ", median", "us", of.median_us);
  report.add(what + ", p99", "us", of.p99_us);
  report.add(what + ", p99.9", "us", of.p999_us);
}

}  // namespace millrace::bench
