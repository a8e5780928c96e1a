// Places in a group's log.
#pragma once

#include <cstdint>

#include "engine/base/ids.h"

namespace millrace {

// The end of a stretch of log: what the next entry must continue. All zero before the first entry.
struct LogEnd {
  Index last_index{0};      // of the last entry
  Offset next_offset{0};    // that the next record will get
  std::uint64_t chain = 0;  // header checksum of the last entry: the next one's prev_checksum
  friend auto operator<=>(const LogEnd&, const LogEnd&) = default;
};

// The first entry that still belongs to the log; entries and records before it are gone or about to go.
struct LogStart {
  Index index{1};
  Offset offset{0};
  friend auto operator<=>(const LogStart&, const LogStart&) = default;
};

// Where the next extent of a group goes.
struct SegmentEnd {
  Index segment{0};            // the file, by its first index; 0: the group has no segment yet
  std::uint64_t position = 0;  // block-aligned end of the last extent in it
  bool open = false;           // false: closed, the next extent opens a new segment
  friend auto operator<=>(const SegmentEnd&, const SegmentEnd&) = default;
};

}  // namespace millrace
