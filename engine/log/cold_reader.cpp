#include "engine/log/cold_reader.h"

#include <algorithm>

#include "engine/base/endian.h"
#include "engine/base/entry_header.h"
#include "engine/log/format_bytes.h"
#include "engine/log/placement.h"
#include "engine/log/segment_scan.h"

namespace millrace {
namespace {
// One read of the device: large enough for its full rate at depth 1.
constexpr std::uint64_t k_chunk_size = 1_MiB;
// The first read of a reader that may want a single record.
constexpr std::uint64_t k_first_chunk_size = k_fetch_promise_min;
constexpr std::size_t k_open_files_max = 128;

// What to do about damage that a reader has met.
Error with_advice(Error error) {
  if (error.code == ErrorCode::corruption)
    error.message += "; stop the server, and millrace log verify names every damage in its data folder";
  return error;
}

std::uint64_t block_of(std::uint64_t position) {
  return position / k_block_size * k_block_size;
}
// How far the segment's bytes stay as they are: beyond, extents may be on their way to the device.
std::uint64_t stable_end(const Group& group, const Segment& segment) {
  if (segment.first_index() < group.placed_at.segment) return segment.end;
  return segment.first_index() == group.placed_at.segment ? group.placed_at.position : k_block_size;
}

// The last entry that stood in the segment when this process started.
Index last_before(const Group& group, const Segment& segment) {
  const auto after = std::upper_bound(group.segments.begin(), group.segments.end(), segment.first_index(),
                                      [](Index i, const SegmentRef& s) { return i < s->first_index(); });
  const bool is_last = after == group.segments.end();
  if (segment.writable || is_last) return group.recovered.last_index;
  return std::min((*after)->first_index() - 1, group.recovered.last_index);
}

bool is_live(const Group& group, const SegmentRef& segment) {
  return !group.removing && std::ranges::find(group.segments, segment) != group.segments.end();
}

// Where a chunk that starts at `position` ends best: with an extent, so that no entry is read twice.
std::uint64_t chunk_end(const Group& group, const Segment& segment, std::uint64_t position,
                        std::uint64_t length) {
  const std::uint64_t limit = position + length;
  if (limit >= stable_end(group, segment)) return round_up_to_block(stable_end(group, segment));
  auto after =
      std::upper_bound(segment.index.begin(), segment.index.end(), limit,
                       [](std::uint64_t p, const SparseIndexItem& item) { return p < item.position; });
  if (after == segment.index.begin() || std::prev(after)->position <= position) return limit;
  // An index that was made again from the entries names places within extents, too.
  return round_up_to_block(std::prev(after)->position);
}
}  // namespace

// What a read has found so far.
struct ColdReader::Gathered {
  ReadResult result;
  bool complete = false;  // enough, or the tail in memory goes on from here
  bool segment_ended = false;
  std::uint64_t entry_size = 0;  // not 0: the chunk ends inside an entry that takes this much

  void add(Slice slice) {
    result.bytes += slice.length;
    if (!result.entries.empty()) {
      Slice& last_slice = result.entries.back();
      if (last_slice.buffer.data() == slice.buffer.data() &&
          last_slice.offset + last_slice.length == slice.offset) {
        last_slice.length += slice.length;
        return;
      }
    }
    result.entries.push_back(std::move(slice));
  }
};

std::optional<ColdReader::Cursor> ColdReader::take_cursor(GroupId group, Offset from) {
  for (auto it = cursors_.begin(); it != cursors_.end(); ++it) {
    if (it->group != group || it->next != from) continue;
    Cursor cursor = std::move(*it);
    cursors_.erase(it);
    return cursor;
  }
  return std::nullopt;
}

void ColdReader::forget(const Group& group) {
  std::erase_if(cursors_, [&](const Cursor& cursor) { return cursor.group == group.id; });
  std::erase_if(
      open_, [&](const OpenFile& open) { return open.group == group.id && !is_live(group, open.segment); });
}

Task<Result<File>> ColdReader::open(GroupRef group, SegmentRef segment) {
  if (segment->file) co_return segment->file;
  const auto known = std::ranges::find(open_, segment, &OpenFile::segment);
  if (known != open_.end()) {
    open_.splice(open_.begin(), open_, known);
    co_return known->file;
  }
  auto file = co_await context_.reactor.open(context_.folder.segment(group->id, segment->first_index()),
                                             {.mode = OpenMode::read, .direct = true});
  if (!file && file.error().code == ErrorCode::not_found && is_live(*group, segment)) {
    co_return fail(with_advice({ErrorCode::corruption, "a segment is missing: " + file.error().message}));
  }
  if (file && is_live(*group, segment)) {
    open_.push_front({segment, group->id, *file});
    if (open_.size() > k_open_files_max) open_.pop_back();
  }
  co_return file;
}

Task<Result<File>> ColdReader::prepare(GroupRef group, SegmentRef segment) {
  CO_TRY(File file, co_await open(group, segment));
  while (!segment->indexed && std::ranges::find(preparing_, segment) != preparing_.end())
    co_await prepared_.wait();
  if (segment->indexed) co_return file;
  preparing_.push_back(segment);
  auto learned = co_await learn(group, segment, file);
  std::erase(preparing_, segment);
  prepared_.wake_all();
  if (!learned) co_return fail(with_advice(std::move(learned).error()));
  co_return file;
}

Task<Result<void>> ColdReader::learn(GroupRef group, SegmentRef segment, File file) {
  // Whose entries they are comes first: those of another file would be judged by where this one ends.
  CO_TRY(const SegmentHeader header, co_await read_segment_header(context_.reactor, file));
  if (const auto other = whose_header(header, context_.cluster, group->id, segment->first_index()))
    co_return fail(ErrorCode::corruption, "{}: {}", file.label(), *other);
  CO_TRY(SegmentContent content,
         co_await read_segment_content(context_.reactor, std::move(file), last_before(*group, *segment)));
  segment->header = content.header;
  segment->sealed_at = content.footer.sealed_at;
  segment->max_timestamp = std::max(segment->max_timestamp, content.footer.max_timestamp);
  // Extents that were added since the start stand in the index already, and before the segment's end: they
  // come behind what the file told of the time before.
  segment->index.insert(segment->index.begin(), content.footer.index.begin(), content.footer.index.end());
  if (!segment->writable) segment->end = std::max(segment->end, content.footer.end_position);
  segment->indexed = true;
  co_return Result<void>{};
}

namespace {
// The segment that holds `from`, as far as headers are known: else one whose header has to be read first.
SegmentRef segment_at(const Group& group, Offset from) {
  std::size_t low = first_live(group), high = group.segments.size();
  while (high - low > 1) {
    const std::size_t middle = (low + high) / 2;
    if (!group.segments[middle]->indexed) return group.segments[middle];
    (group.segments[middle]->first_offset() <= from ? low : high) = middle;
  }
  return group.segments[low];
}
}  // namespace

Task<Result<SegmentRef>> ColdReader::find_segment(GroupRef group, Offset from) {
  while (!group->segments.empty()) {
    const SegmentRef segment = segment_at(*group, from);
    if (segment->indexed) co_return segment;
    // Segments may come and go meanwhile, so the search begins anew.
    CO_TRY_VOID(co_await prepare(group, segment));
  }
  co_return SegmentRef{};
}

// A trim may take a file from under the search. What was before it is gone, too, so it looks again at what is
// left.
Task<Result<ColdReader::Cursor>> ColdReader::find(GroupRef group, Offset from) {
  const auto first_index = [&] {
    return group->segments.empty() ? Index{0} : group->segments.front()->first_index();
  };
  while (true) {
    const Index first = first_index();
    auto found = co_await find_once(group, from);
    const bool was_removed = !found && found.error().code == ErrorCode::not_found && first_index() != first;
    if (!was_removed || group->removing) co_return found;
  }
}

Task<Result<ColdReader::Cursor>> ColdReader::find_once(GroupRef group, Offset from) {
  Cursor cursor;
  cursor.group = group->id;
  CO_TRY(cursor.segment, co_await find_segment(group, from));
  CHECK(cursor.segment != nullptr, "group {} has entries and no segment", group->id.value());
  CO_TRY(cursor.file, co_await prepare(group, cursor.segment));
  const auto& index = cursor.segment->index;
  auto after = std::upper_bound(index.begin(), index.end(), from,
                                [](Offset o, const SparseIndexItem& item) { return o < item.offset; });
  cursor.position = after == index.begin() ? k_block_size : std::prev(after)->position;
  co_return cursor;
}

Task<Result<ColdReader::Chunk>> ColdReader::next_chunk(const Group& group, Cursor& cursor,
                                                       std::uint64_t bytes_min, std::uint64_t bytes_max) {
  const std::uint64_t position = block_of(cursor.position);
  const std::uint64_t needed = cursor.position - position + bytes_min;
  const std::uint64_t wanted = round_up_to_block(needed);
  if (cursor.reading && cursor.ahead_position == position && cursor.ahead_length >= wanted) {
    CO_TRY(const std::uint64_t count, co_await *std::exchange(cursor.reading, std::nullopt));
    co_return Chunk{std::exchange(cursor.ahead, {}), position, count};
  }
  cursor.reading.reset();
  const std::uint64_t size = cursor.sequential
                                 ? std::clamp(round_up_to_block(bytes_max), k_first_chunk_size, k_chunk_size)
                                 : k_first_chunk_size;
  const std::uint64_t length = std::max(wanted, chunk_end(group, *cursor.segment, position, size) - position);
  CO_TRY(Buffer buffer, context_.reactor.buffers().acquire(length));
  CO_TRY(const std::uint64_t count,
         co_await context_.reactor.read(cursor.file, Slice{buffer, 0, static_cast<std::uint32_t>(length)},
                                        position));
  if (count < needed) {
    co_return fail(with_advice(
        {ErrorCode::corruption, fmt::format("{} ends at {}, but its entries go on to {}", cursor.file.label(),
                                            position + count, cursor.segment->end)}));
  }
  cursor.sequential = true;
  co_return Chunk{std::move(buffer), position, count};
}

void ColdReader::read_ahead(const Group& group, Cursor& cursor) {
  const std::uint64_t position = block_of(cursor.position);
  if (position >= stable_end(group, *cursor.segment) || cursor.reading) return;
  const std::uint64_t length = chunk_end(group, *cursor.segment, position, k_chunk_size) - position;
  auto buffer = context_.reactor.buffers().acquire(length);
  if (!buffer) return;  // memory is short: the next read reads for itself
  cursor.ahead = *std::move(buffer);
  cursor.ahead_position = position;
  cursor.ahead_length = length;
  cursor.reading.emplace(context_.reactor.read(
      cursor.file, Slice{cursor.ahead, 0, static_cast<std::uint32_t>(length)}, position));
}

Result<void> ColdReader::gather(const Group& group, Cursor& cursor, const Chunk& chunk, Offset from,
                                std::uint64_t max_bytes, FirstEntry first, Gathered& gathered) {
  const std::span<const std::byte> bytes = chunk.buffer.bytes().first(chunk.length);
  const auto damage = [&](std::string_view what) {
    return fail(with_advice(
        {ErrorCode::corruption, fmt::format("{} at {}: {}", cursor.file.label(), cursor.position, what)}));
  };
  gathered.entry_size = 0;
  const auto after =
      std::upper_bound(group.segments.begin(), group.segments.end(), cursor.segment->first_index(),
                       [](Index i, const SegmentRef& s) { return i < s->first_index(); });
  const Index next_segment =
      after == group.segments.end() ? group.tail_first : std::min((*after)->first_index(), group.tail_first);
  while (true) {
    if (cursor.last && next(*cursor.last) >= next_segment) {
      gathered.segment_ended = true;
      return {};
    }
    // Zeros may stand where an extent was lost, so the end alone does not tell that everything was found.
    if (cursor.position >= stable_end(group, *cursor.segment)) {
      if (next_segment > cursor.segment->first_index())
        return damage(
            fmt::format("the segment ends before entry {}, which it held", next_segment.value() - 1));
      gathered.segment_ended = true;
      return {};
    }
    const std::uint64_t at = cursor.position - chunk.position;
    // Positions are multiples of 8, so these bytes are there, if not yet a whole header.
    if (at < bytes.size() && load_le<std::uint64_t>(bytes.data() + at) == 0) {
      cursor.position = block_of(cursor.position) + k_block_size;
      continue;
    }
    if (at + k_entry_header_size > bytes.size()) {
      gathered.entry_size = k_entry_header_size;
      return {};
    }
    EntryHeader header;
    const HeaderVerdict verdict = decode(bytes.subspan(at).first<k_entry_header_size>(), header);
    if (verdict != HeaderVerdict::valid) return damage(name(verdict));
    if (header.group != group.id) return damage("an entry of another group");
    if (cursor.last && (header.index != next(*cursor.last) || header.prev_checksum != cursor.chain)) {
      return damage(fmt::format("the chain breaks between index {} and {}", cursor.last->value(),
                                header.index.value()));
    }
    const std::uint32_t padded = padded_entry_size(header.batch_length);
    if (!cursor.last && header.base_offset > from) {
      return damage(fmt::format("the entries before index {} are missing", header.index.value()));
    }
    const bool wanted = header.next_offset() > from;
    if (wanted && first == FirstEntry::within_max && gathered.result.bytes == 0 && padded > max_bytes) {
      gathered.result.first_entry_needs = padded;
      gathered.complete = true;
      return {};
    }
    if (at + padded > bytes.size()) {
      gathered.entry_size = padded;
      return {};
    }
    if (wanted) {
      if (!check_payload(header, bytes.subspan(at + k_entry_header_size, header.payload_size()))) {
        return damage(
            fmt::format("the payload of index {} does not match its checksum", header.index.value()));
      }
      if (gathered.result.bytes != 0 && gathered.result.bytes + padded > max_bytes) {
        gathered.complete = true;
        return {};
      }
      gathered.add(Slice{chunk.buffer, static_cast<std::uint32_t>(at), padded});
      gathered.result.next_offset = header.next_offset();
    }
    cursor.last = header.index;
    cursor.chain = header.header_checksum;
    cursor.position += padded;
    // Memory goes on from here; what follows in the file may still be on its way there.
    if (next(header.index) >= group.tail_first) {
      gathered.complete = true;
      return {};
    }
  }
}

Task<Result<ReadResult>> ColdReader::read(GroupRef group, Offset from, std::uint64_t max_bytes,
                                          FirstEntry first) {
  max_bytes = std::max<std::uint64_t>(max_bytes, 1);  // at least one entry
  const std::uint64_t cuts = group->cuts;
  std::optional<Cursor> known = take_cursor(group->id, from);
  if (!known) {
    CO_TRY(known, co_await find(group, from));
  }
  Cursor cursor = *std::move(known);
  Gathered gathered;
  gathered.result.next_offset = from;
  while (!gathered.complete && gathered.result.bytes < max_bytes &&
         gathered.result.entries.size() < k_slices_max - 2) {
    if (gathered.segment_ended) {
      const auto after =
          std::upper_bound(group->segments.begin(), group->segments.end(), cursor.segment->first_index(),
                           [](Index i, const SegmentRef& s) { return i < s->first_index(); });
      if (after == group->segments.end() || (*after)->first_index() >= group->tail_first) break;
      cursor.segment = *after;
      cursor.position = k_block_size;
      cursor.reading.reset();
      gathered.segment_ended = false;
      CO_TRY(cursor.file, co_await prepare(group, cursor.segment));
    }
    if (cursor.position >= stable_end(*group, *cursor.segment)) {
      gathered.segment_ended = true;
      continue;
    }
    CO_TRY(const Chunk chunk,
           co_await next_chunk(*group, cursor, std::max<std::uint64_t>(gathered.entry_size, 1),
                               max_bytes - gathered.result.bytes));
    CO_TRY_VOID(gather(*group, cursor, chunk, from, max_bytes, first, gathered));
    if (group->removing) break;
    // The rest of an entry that the chunk cuts is for the next read, unless it is all there is.
    if (gathered.entry_size != 0 && gathered.result.bytes != 0) break;
  }
  context_.counters.read_bytes_cold += gathered.result.bytes;
  ++context_.counters.reads_cold;
  cursor.next = gathered.result.next_offset;
  if (gathered.result.bytes != 0 && is_live(*group, cursor.segment) && group->cuts == cuts) {
    read_ahead(*group, cursor);
    cursors_.push_front(std::move(cursor));
    // Each may hold a chunk of read-ahead.
    if (cursors_.size() > context_.options.read_ahead_bytes_max / k_chunk_size) cursors_.pop_back();
  }
  co_return std::move(gathered.result);
}

}  // namespace millrace
