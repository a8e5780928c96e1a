// A latency histogram: plain counters in log-linear buckets, 16 to a power of two, so that a percentile is at
// most 1/16 (6.25 %) above the true value, from a nanosecond to centuries. 7.5 KiB, no allocation, one
// shard's.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "engine/base/time.h"

namespace millrace {

class Histogram {
 public:
  // Negative durations count as 0.
  void record(Duration duration) {
    const std::uint64_t ns = duration.count() < 0 ? 0 : static_cast<std::uint64_t>(duration.count());
    ++counts_[bucket_of(ns)];
    ++count_;
    sum_ += ns;
    if (ns > max_) max_ = ns;
  }
  void merge(const Histogram& other);
  void reset() { *this = Histogram(); }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  // Exact.
  [[nodiscard]] Duration max() const { return Duration(max_); }
  [[nodiscard]] Duration sum() const { return Duration(sum_); }
  // The value that `percent` (0 to 100) of the recorded ones do not exceed: never below the true one, at most
  // 1/16 above it, and exact at 100. 0 when nothing was recorded.
  [[nodiscard]] Duration percentile(double percent) const;

 private:
  static constexpr unsigned k_bits = 4;
  static constexpr std::size_t k_linear = std::size_t{1} << k_bits;
  // Values below 16 have a bucket each; then 16 for every power of two up to 2^62, the largest of a Duration.
  static constexpr std::size_t k_buckets = (63 - k_bits + 1) * k_linear;

  static constexpr std::size_t bucket_of(std::uint64_t ns) {
    if (ns < k_linear) return ns;
    const unsigned shift = static_cast<unsigned>(std::bit_width(ns)) - 1 - k_bits;
    return (std::size_t{shift} << k_bits) + static_cast<std::size_t>(ns >> shift);
  }
  // The largest value that falls into the bucket.
  static constexpr std::uint64_t bucket_end(std::size_t bucket) {
    if (bucket < k_linear) return bucket;
    const std::size_t shift = (bucket >> k_bits) - 1;
    return ((std::uint64_t{(bucket & (k_linear - 1)) + k_linear + 1}) << shift) - 1;
  }

  std::array<std::uint64_t, k_buckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace millrace
