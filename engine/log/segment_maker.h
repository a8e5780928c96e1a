// Segments come and go: made and named, grown, sealed, removed.
#pragma once

#include <cstdint>

#include "engine/log/log_context.h"

namespace millrace {

// Who asks for space: when the disk is full, the log's own entries (trims, metadata, a leader's no-op) may
// have the ballast.
enum class SpaceFor : std::uint8_t { clients, own };

// Makes a new segment of the group that begins after its last assigned entry, and opens it for extents; the
// one before takes no more. Written, synced, named and its folder synced when this returns. disk_full
// (nothing is left behind); sync_failed (and so has the log).
Task<Result<void>> make_segment(LogContext& context, GroupRef group, SpaceFor who);

// Sees to it that the open segment has `need` more bytes, allocated on the device: grows it in steps, or
// begins the next one.
Task<Result<void>> make_room(LogContext& context, GroupRef group, std::uint64_t need, SpaceFor who);

// Whether make_room would have nothing to do.
[[nodiscard]] bool has_room(const Group& group, std::uint64_t need);

// Writes the footer of a segment whose entries all stand in it, and cuts the file to it. What header and
// footer tell of it and of the next one is known (ColdReader::prepare()).
Task<Result<void>> seal_segment(LogContext& context, GroupRef group, SegmentRef segment);

}  // namespace millrace
