// Group: the log of one partition, as the running engine holds it. Plain state: what is done to it stands in
// appender.cpp, committer.cpp, placement.cpp, mover.cpp, log_reader.cpp and retention.cpp.
//
// Positions, each at most the next one:
//
//     start <= placed (in segments, synced) <= place_next - 1 (has a place) <= durable (journal or segment)
//     <= end (assigned)
//
//   gathered: assigned, not yet in a commit; their bytes are where they were received
//   tail:     in a commit or in a segment, and still in memory; readers get what is durable of it
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/entry_header.h"
#include "engine/base/ids.h"
#include "engine/log/journal_format.h"
#include "engine/log/positions.h"
#include "engine/log/producers.h"
#include "engine/log/segment.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/mutex.h"
#include "engine/reactor/recycled.h"
#include "engine/reactor/wait.h"

namespace millrace {

// Whether an extent may begin with an entry of `size` bytes that has `reserved` bytes of its segment set
// aside: a block for the padding is among them.
[[nodiscard]] constexpr bool may_begin_extent(std::uint32_t size, std::uint64_t reserved) {
  return reserved >= std::uint64_t{size} + k_block_size;
}

struct GatheredEntry {
  std::array<std::byte, k_entry_header_size> header;
  Slice payload;          // bytes 64.. of the entry
  bool in_place = false;  // payload stands at offset 64 of a buffer of its own: written from there
  EntryType type = EntryType::batch;
  std::int64_t max_timestamp = -1;
  LogEnd end;                  // after it
  std::uint64_t reserved = 0;  // segment bytes set aside for it
  MonotonicTime at;            // of the append
  [[nodiscard]] std::uint32_t size() const { return k_entry_header_size + payload.length; }
  [[nodiscard]] bool may_begin() const { return may_begin_extent(size(), reserved); }
};

struct TailEntry {
  Slice bytes;             // header, payload, padding
  std::uint32_t size = 0;  // without padding
  Offset base_offset{0};
  Offset next_offset{0};
  std::int64_t max_timestamp = -1;
  std::uint64_t reserved = 0;
};

// An extent on its way to the device, or there and waiting for those before it.
struct OutstandingExtent {
  LogEnd end;
  SegmentEnd at;
  bool done = false;
};

struct Group {
  Group(Reactor& reactor, GroupId group)
      : id(group),
        moved(reactor),
        tending(reactor),
        admission(reactor),
        durable_changed(reactor),
        readable(reactor) {}

  GroupId id;
  LogSettings settings;
  Term term{0};
  std::optional<NodeId> voted_for;
  bool term_begun = false;  // this start's term is journaled and its no-op appended
  bool removing = false;    // appends and reads are refused
  bool gone = false;        // its removal is journaled: nothing of it needs a place or a checkpoint any more

  LogStart start;
  LogEnd recovered;  // the end that this process found at its start
  LogEnd placed;     // what a checkpoint may say
  SegmentEnd placed_at;
  Index checkpointed_segment{0};  // the file that the last checkpoint names: it and later ones must stay
  Index place_next{1};
  LogEnd durable;
  LogEnd end;

  ProducerTable producers;  // of everything up to `end`

  std::vector<SegmentRef> segments;  // ascending; the last one may be open
  RecycledDeque<GatheredEntry> gathered;
  RecycledDeque<TailEntry> tail;  // entries tail_first ... sealed end, ascending
  Index tail_first{1};
  RecycledDeque<std::shared_ptr<OutstandingExtent>> outstanding;  // in position order
  RecycledVector<ExtentRecord> undescribed;                       // the mover's, not yet in a commit
  std::uint64_t moves_started = 0;                                // the mover's extents; one at a time
  std::uint64_t moves_finished = 0;
  WaitQueue moved;                   // moves_finished has risen
  std::uint64_t unplaced_bytes = 0;  // all that has no place yet, gathered ones included
  // Every extent ends in padding, so entries with which one may begin set aside a spare block: see
  // reserve_for() in appender.cpp. The segment of the last such entry, and the bytes gathered from it on.
  Index spare_segment{0};
  std::uint64_t since_spare = 0;
  bool touched = false;  // in the committer's list
  bool untidy = false;   // in the context's list
  bool move_queued = false;
  std::uint64_t cuts = 0;  // how often its end was cut off

  Mutex tending;                         // retention looks after its files, or they are removed
  Mutex admission;                       // appends enter one by one, in order
  RecycledDeque<Index> durable_waiting;  // what the waiters in durable_changed wait for, in the same order
  WaitQueue durable_changed;
  WaitQueue readable;  // durable has advanced, or the group went

  // The group is gone or the log has failed: whoever waits sees it.
  void wake_everybody() {
    durable_waiting.clear();
    durable_changed.wake_all();
    readable.wake_all();
    moved.wake_all();
  }
  [[nodiscard]] Index tail_end() const {
    return tail_first + tail.size();
  }  // one past the last entry in the tail
  [[nodiscard]] TailEntry& tail_entry(Index index) { return tail[index - tail_first]; }
};
using GroupRef = std::shared_ptr<Group>;

}  // namespace millrace
