#include "engine/log/placement.h"

#include <algorithm>
#include <cstring>

#include "engine/base/endian.h"
#include "engine/log/format_bytes.h"

namespace millrace {
namespace {

// Copied entries share extents up to this: buffers of this size are found however the pool's memory is cut
// into pieces.
constexpr std::uint64_t k_extent_size_max = 1_MiB;

// How many pieces from `first` on go into one extent, and how many bytes they take.
struct Run {
  std::size_t count = 0;
  std::uint64_t size = 0;
};

Run next_run(const Group& group, std::span<const Piece> pieces, std::size_t first) {
  if (pieces[first].in_place) return {1, pieces[first].size()};
  const Segment* segment = segment_of(group, pieces[first].end.last_index).get();
  Run run, cut;
  for (std::size_t i = first; i < pieces.size() && !pieces[i].in_place; ++i) {
    const std::uint64_t size = padded_size(pieces[i].size());
    if (i != first && pieces[i].may_begin()) cut = run;
    // Less than k_direct_size_min stands between two with which an extent may begin.
    if (cut.count != 0 && run.size + size > k_extent_size_max) return cut;
    if (segment_of(group, pieces[i].end.last_index).get() != segment) break;
    run.size += size;
    ++run.count;
  }
  return run;
}

void zero(const Buffer& buffer, std::uint64_t from, std::uint64_t to) {
  std::memset(buffer.data() + from, 0, to - from);
}

// Copies the run's entries one behind the other into `buffer`.
void fill_extent(const Buffer& buffer, std::span<const Piece> run, Placement& placement) {
  std::uint32_t at = 0;
  for (const Piece& piece : run) {
    const std::uint32_t padded = padded_size(piece.size());
    std::memcpy(buffer.data() + at, piece.header.data(), piece.header.size());
    if (!piece.payload.empty()) {
      std::memcpy(buffer.data() + at + piece.header.size(), piece.payload.data(), piece.payload.size());
    }
    zero(buffer, at + piece.size(), at + padded);
    if (piece.payload.size() >= k_direct_size_min) placement.copied += piece.payload.size();
    placement.bytes.push_back(Slice{buffer, at, padded});
    at += padded;
  }
}

void add_write(Placement& placement, const SegmentRef& segment, std::uint64_t position, Slice slice) {
  if (placement.writes.empty() || placement.writes.back().segment != segment ||
      placement.writes.back().slices.full()) {
    placement.writes.push_back({segment, position, {}});
  }
  placement.writes.back().slices.push(std::move(slice));
}

// What the entries before the extent leave it to continue.
struct Before {
  Offset offset;
  std::uint64_t chain;
};

Before before(const Piece& first) {
  return {first.base_offset, load_le<std::uint64_t>(first.header.data() + 16)};
}

void add_extent(Placement& placement, Group& group, std::span<const Piece> run, const Buffer& buffer,
                std::uint64_t length) {
  const SegmentRef& segment = segment_of(group, run.front().end.last_index);
  const auto [offset, chain] = before(run.front());
  std::int64_t max_timestamp = -1;
  std::uint64_t reserved = 0;
  for (const Piece& piece : run) {
    max_timestamp = std::max(max_timestamp, piece.max_timestamp);
    reserved += piece.reserved;
  }
  CHECK(length <= reserved, "group {}: {} bytes reserved for an extent of {}", group.id.value(), reserved,
        length);
  segment->reserved -= reserved;
  placement.extents.push_back({segment->first_index(), segment->end, length, run.front().end.last_index,
                               offset, chain, run.back().end});
  add_to_index(*segment, {run.front().end.last_index, offset, segment->end, max_timestamp});
  add_write(placement, segment, segment->end, Slice{buffer, 0, static_cast<std::uint32_t>(length)});
  segment->end += length;
  CHECK(segment->end <= segment->allocated, "segment {} of group {}: end {} beyond allocated {}",
        segment->first_index().value(), group.id.value(), segment->end, segment->allocated);
}

}  // namespace

const SegmentRef& segment_of(const Group& group, Index index) {
  auto after = std::upper_bound(group.segments.begin(), group.segments.end(), index,
                                [](Index i, const SegmentRef& s) { return i < s->first_index(); });
  CHECK(after != group.segments.begin(), "group {} has no segment for index {}", group.id.value(),
        index.value());
  return *std::prev(after);
}

std::size_t first_live(const Group& group) {
  const auto after = std::upper_bound(group.segments.begin(), group.segments.end(), group.start.index,
                                      [](Index i, const SegmentRef& s) { return i < s->first_index(); });
  const auto place = static_cast<std::size_t>(after - group.segments.begin());
  return place == 0 ? 0 : place - 1;
}

std::vector<SegmentRef> live_segments(const Group& group) {
  return {group.segments.begin() + static_cast<std::ptrdiff_t>(first_live(group)), group.segments.end()};
}

Result<Placement> place(LogContext& context, Group& group, std::span<const Piece> pieces) {
  Placement placement;
  // Memory first: after that nothing can fail half way.
  RecycledVector<std::pair<Run, Buffer>> runs;
  for (std::size_t i = 0; i < pieces.size(); i += runs.back().first.count) {
    const Run run = next_run(group, pieces, i);
    Buffer buffer = pieces[i].in_place;
    if (!buffer) {
      TRY(buffer, context.reactor.buffers().acquire(round_up_to_block(run.size), PoolPart::reserve));
    }
    runs.emplace_back(run, std::move(buffer));
  }
  std::size_t first = 0;
  for (const auto& [run, buffer] : runs) {
    const auto part = pieces.subspan(first, run.count);
    const std::uint64_t length = round_up_to_block(run.size);
    if (part.front().in_place) {
      std::memcpy(buffer.data(), part.front().header.data(), k_entry_header_size);
      placement.bytes.push_back(Slice{buffer, 0, padded_size(part.front().size())});
    } else {
      fill_extent(buffer, part, placement);
    }
    zero(buffer, run.size, length);
    placement.memory += context.memory_of(buffer);
    add_extent(placement, group, part, buffer, length);
    first += run.count;
  }
  const ExtentRecord& last = placement.extents.back();
  group.place_next = next(last.end.last_index);
  placement.outstanding = make_recycled<OutstandingExtent>(
      OutstandingExtent{last.end, {last.segment, last.position + last.length, true}, false});
  group.outstanding.push_back(placement.outstanding);
  for (const Piece& piece : pieces) group.unplaced_bytes -= piece.size();
  return placement;
}

void pieces_of_tail(Group& group, Index last, std::uint64_t bytes_max, std::vector<Piece>& pieces) {
  pieces.clear();
  std::uint64_t bytes = 0;
  std::size_t cut = 0;
  for (Index i = group.place_next; i <= last; i = next(i)) {
    const TailEntry& entry = group.tail_entry(i);
    if (may_begin_extent(entry.size, entry.reserved)) cut = pieces.size();
    if (cut != 0 && bytes + padded_size(entry.size) > bytes_max) {
      pieces.resize(cut);
      return;
    }
    const auto all = entry.bytes.bytes();
    pieces.push_back({all.first(k_entry_header_size),
                      all.subspan(k_entry_header_size, entry.size - k_entry_header_size),
                      {},
                      entry.base_offset,
                      LogEnd{i, entry.next_offset, load_le<std::uint64_t>(all.data())},
                      entry.max_timestamp,
                      entry.reserved});
    bytes += padded_size(entry.size);
  }
}

void advance_placed(LogContext& context, const GroupRef& group) {
  const Index before = group->placed_at.segment;
  while (!group->outstanding.empty() && group->outstanding.front()->done) {
    group->placed = group->outstanding.front()->end;
    group->placed_at = group->outstanding.front()->at;
    group->outstanding.pop_front();
  }
  if (group->placed_at.segment != before) context.tidy_soon(group);
}

}  // namespace millrace
