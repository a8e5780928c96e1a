// Segment: one file of a group's log, as the running engine holds it.
//
//   making (*.segment.new) -> open: extents are added -> rolled: complete, the next one is open -> sealed:
//   has its footer
//
// Readers and writers share it by pointer: a segment that retention has removed stays readable until the last
// one lets go.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/log/positions.h"
#include "engine/log/segment_format.h"
#include "engine/reactor/handle.h"

namespace millrace {

struct Segment {
  SegmentHeader header;
  File file;                    // opened when first needed
  std::uint64_t allocated = 0;  // bytes of the file that have space on the device
  std::uint64_t end = 0;        // where the next extent goes; for a rolled one, where its extents end
  std::uint64_t reserved = 0;   // beyond `end`: the most that entries without a place may still need
  WallTime sealed_at;           // 0: not sealed
  bool writable = false;        // extents may still be added
  // Whether `index` and `max_timestamp` tell of everything in the file: not so for one of an earlier start
  // until it is first read.
  bool indexed = false;
  std::vector<SparseIndexItem> index;
  std::int64_t max_timestamp = -1;

  [[nodiscard]] Index first_index() const { return header.first_index; }
  [[nodiscard]] Offset first_offset() const { return header.first_offset; }
};
using SegmentRef = std::shared_ptr<Segment>;

// A sparse index has an item every this many bytes: 32 bytes an item, so 8 GiB stored cost 1 MiB of memory,
// and a read that starts in the middle reads at most this much for nothing.
inline constexpr std::uint64_t k_sparse_index_step = 256u << 10;

// Notes an extent in the sparse index.
void add_to_index(Segment& segment, const SparseIndexItem& extent);

}  // namespace millrace
