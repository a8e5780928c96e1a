#include "engine/base/histogram.h"

#include <algorithm>
#include <cmath>

namespace millrace {

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < k_buckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

Duration Histogram::percentile(double percent) const {
  const double share = std::clamp(percent, 0.0, 100.0) / 100.0;
  // The rank of the value asked for, from 1.
  const auto rank =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < k_buckets; ++i) {
    seen += counts_[i];
    if (seen >= rank) return Duration(std::min(bucket_end(i), max_));
  }
  return Duration(max_);
}

}  // namespace millrace
