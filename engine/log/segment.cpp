#include "engine/log/segment.h"

#include <algorithm>

namespace millrace {

void add_to_index(Segment& segment, const SparseIndexItem& extent) {
  segment.max_timestamp = std::max(segment.max_timestamp, extent.max_timestamp);
  if (segment.index.empty() || extent.position >= segment.index.back().position + k_sparse_index_step) {
    segment.index.push_back(extent);
  } else {
    segment.index.back().max_timestamp = std::max(segment.index.back().max_timestamp, extent.max_timestamp);
  }
}

}  // namespace millrace
