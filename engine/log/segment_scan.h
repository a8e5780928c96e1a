// Reading segments from one end to the other: entries with everything about them verified, where they end,
// and footers that were lost.
//
// What is verified of every entry: both checksums, the group, that the index follows, that prev_checksum is
// the chain so far, and that the offset goes on where the last one stopped. Errors are corruption with file
// and position, or what the reactor says.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include "engine/base/buffer.h"
#include "engine/base/entry_header.h"
#include "engine/base/error.h"
#include "engine/log/positions.h"
#include "engine/log/segment_format.h"
#include "engine/reactor/reactor.h"

namespace millrace {

struct ScannedEntry {
  EntryHeader header;
  std::uint64_t position = 0;        // in the file
  std::span<const std::byte> bytes;  // header and payload, without padding; until the scanner's next call
};

// Where a stretch of entries begins, and where reading stops at the latest.
struct ScanRange {
  std::uint64_t position = k_block_size;
  LogEnd before;  // what the first entry must continue
  std::optional<Index> last;
  std::uint64_t end_position = std::numeric_limits<std::uint64_t>::max();
};
// All of a segment, or its entries up to `last`.
[[nodiscard]] ScanRange range_of(const SegmentHeader& header, std::optional<Index> last = std::nullopt);

// Direct reads of 1 MiB, larger only for an entry that is. Holds one buffer.
class SegmentScanner {
 public:
  SegmentScanner(Reactor& reactor, File file, GroupId group, ScanRange range);
  // The next entry; nothing where the range ends, or the content does: the end of the file, or a block that
  // begins with zeros.
  Task<Result<std::optional<ScannedEntry>>> next();
  // After the last entry that next() gave.
  [[nodiscard]] const LogEnd& end() const { return end_; }
  // Of the next entry, once next() has given one; where the content ends, once it has given nothing: a
  // multiple of a block, or, where an entry that was cut follows in the same block, the end of the last
  // entry.
  [[nodiscard]] std::uint64_t position() const { return position_; }

 private:
  // Makes [position_, position_ + length) readable; false if the file ends before.
  Task<Result<bool>> load(std::uint64_t length);
  [[nodiscard]] std::span<const std::byte> loaded(std::uint64_t length) const;
  [[nodiscard]] std::unexpected<Error> damage(const std::string& what) const;
  [[nodiscard]] Result<void> check_header(const EntryHeader& header, HeaderVerdict verdict) const;
  Task<Result<void>> finish();

  Reactor& reactor_;
  File file_;
  GroupId group_;
  ScanRange range_;
  LogEnd end_;
  std::uint64_t position_;
  Buffer window_;
  std::uint64_t window_begin_ = 0;
  std::uint64_t window_length_ = 0;
  bool finished_ = false;
};

struct ScanEnd {
  LogEnd end;
  std::uint64_t position = 0;  // see SegmentScanner::position()
};
// Where the entry `last` of the segment ends, and what follows it must continue; the segment's beginning for
// a `last` before its first entry. corruption if the segment ends before `last`.
Task<Result<ScanEnd>> find_end(Reactor& reactor, File file, SegmentHeader header, Index last);

// corruption (with the file's name), unsupported_version.
Task<Result<SegmentHeader>> read_segment_header(Reactor& reactor, File file);
// Whose header it is, in words, where it is not that of this segment; else nothing.
[[nodiscard]] std::optional<std::string> whose_header(const SegmentHeader& header, ClusterId cluster,
                                                      GroupId group, Index first);
// The footer of a sealed segment; nothing if there is none, or it is damaged: it can be made again.
Task<Result<std::optional<SegmentFooter>>> read_footer(Reactor& reactor, File file);
// Notes the next entry in a footer that is being made.
void add_to_footer(SegmentFooter& footer, const ScannedEntry& entry);
// Makes a footer from the entries up to `last`; sealed_at is 0.
Task<Result<SegmentFooter>> rebuild_footer(Reactor& reactor, File file, SegmentHeader header, Index last);

struct SegmentContent {
  SegmentHeader header;
  SegmentFooter footer;
  bool rebuilt = false;  // the footer was not there, or told of another end than `last`
};
// Header and footer of a segment whose last entry is `last` (before its first one: it is empty). A footer
// that tells of a later end is one from before a cut; one that tells of an earlier end, or entries that end
// earlier, are corruption: the next segment may be missing.
Task<Result<SegmentContent>> read_segment_content(Reactor& reactor, File file, Index last);

}  // namespace millrace
