// Placement: gives entries their place in a group's segments and builds the extents that are written there.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/log/journal_format.h"
#include "engine/log/log_context.h"

namespace millrace {

// One entry to be placed. Either its bytes are copied into an extent with its neighbours, or it stands in a
// buffer of its own (in_place) and is an extent as it is.
struct Piece {
  std::span<const std::byte> header;  // 64 bytes
  std::span<const std::byte> payload;
  Buffer in_place;
  Offset base_offset{0};
  LogEnd end;  // after the entry
  std::int64_t max_timestamp = -1;
  std::uint64_t reserved = 0;
  [[nodiscard]] std::uint32_t size() const {
    return static_cast<std::uint32_t>(header.size() + payload.size());
  }
  [[nodiscard]] bool may_begin() const { return may_begin_extent(size(), reserved); }
};

struct ExtentWrite {
  SegmentRef segment;
  std::uint64_t position = 0;
  Slices slices;
};

struct Placement {
  RecycledVector<ExtentWrite> writes;
  RecycledVector<ExtentRecord> extents;
  RecycledVector<Slice> bytes;                     // of each piece, padded: where it now stands in memory
  HeldMemory memory;                               // of them
  std::uint64_t copied = 0;                        // bytes copied of entries of k_direct_size_min and more
  std::shared_ptr<OutstandingExtent> outstanding;  // mark done, then advance_placed()
};

// Places `pieces`, which continue the group's placed entries, at the end of their segments; the space was
// reserved when they were admitted. The first one, and the one behind the last, must be such that an extent
// may begin with it. overloaded: no memory for the copy; nothing has changed then.
[[nodiscard]] Result<Placement> place(LogContext& context, Group& group, std::span<const Piece> pieces);

// Puts the pieces of the group's tail from place_next up to `last` into `pieces`, which keeps its memory from
// one use to the next; at most about `bytes_max` of them, and then so many that an extent may begin behind
// them.
void pieces_of_tail(Group& group, Index last, std::uint64_t bytes_max, std::vector<Piece>& pieces);

// Moves `placed` over the outstanding extents that are done. When it comes to another segment, those before
// it can be sealed, and retention hears of it.
void advance_placed(LogContext& context, const GroupRef& group);

// The segments that entries of the log stand in. Older files may still be there, to be removed; what a
// restart left of them need not be a whole log.
[[nodiscard]] std::vector<SegmentRef> live_segments(const Group& group);
// The place of the first of them.
[[nodiscard]] std::size_t first_live(const Group& group);

// The segment that holds or will hold the entry.
[[nodiscard]] const SegmentRef& segment_of(const Group& group, Index index);

}  // namespace millrace
