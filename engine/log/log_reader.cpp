#include "engine/log/log_reader.h"

#include <algorithm>
#include <cstring>

#include "engine/base/endian.h"
#include "engine/base/entry_header.h"
#include "engine/base/record_reader.h"
#include "engine/log/placement.h"
#include "engine/reactor/wait_until.h"

namespace millrace {
namespace {

// The first entry of the tail that ends beyond `from`.
RecycledDeque<TailEntry>::const_iterator first_beyond(const Group& group, Offset from) {
  return std::partition_point(group.tail.begin(), group.tail.end(),
                              [&](const TailEntry& entry) { return entry.next_offset <= from; });
}

// Behind the last entry of the tail that readers may see.
std::deque<TailEntry>::const_iterator durable_end(const Group& group) {
  return group.tail.begin() + static_cast<std::ptrdiff_t>(next(group.durable.last_index) - group.tail_first);
}

bool in_memory(const Group& group, Offset from) {
  return !group.tail.empty() && group.tail.front().base_offset <= from;
}

// What has been counted of the entries that a reader waits for.
struct Counted {
  Index next{0};  // the first that is not
  std::uint64_t bytes = 0;
};

// Looks at what is new since the last time: a thousand readers may wait for many small entries. What has left
// memory again is not counted: whoever waited reads it, and waits from where that ends.
bool is_readable(const Group& group, Offset from, std::uint64_t min_bytes, Counted& counted) {
  if (from >= group.durable.next_offset) return false;
  if (!in_memory(group, from)) return true;
  const bool goes_on = counted.next > group.tail_first && counted.next <= next(group.durable.last_index);
  if (!goes_on) {
    counted = {group.tail_first + static_cast<std::uint64_t>(first_beyond(group, from) - group.tail.begin()),
               0};
  }
  for (; counted.next <= group.durable.last_index && counted.bytes < min_bytes;
       counted.next = next(counted.next))
    counted.bytes += group.tail[counted.next - group.tail_first].bytes.length;
  return counted.bytes >= min_bytes;
}

SegmentRef segment_after(const Group& group, const Segment& segment) {
  const auto after = std::upper_bound(group.segments.begin(), group.segments.end(), segment.first_index(),
                                      [](Index i, const SegmentRef& s) { return i < s->first_index(); });
  return after == group.segments.end() ? nullptr : *after;
}

// Puts `slices` together in one buffer: many small pieces are cheaper to copy once than to hand on one by
// one.
Result<Slice> together(Reactor& reactor, const std::vector<Slice>& slices, std::uint64_t bytes) {
  TRY(Buffer buffer, reactor.buffers().acquire(bytes));
  std::uint32_t at = 0;
  for (const Slice& slice : slices) {
    std::memcpy(buffer.data() + at, slice.bytes().data(), slice.length);
    at += slice.length;
  }
  return Slice{buffer, 0, at};
}

// The first record of the batch with a timestamp of at least `timestamp`. A compressed batch is not opened:
// its first record stands for it.
std::optional<ShardLog::OffsetAt> search_batch(std::span<const std::byte> entry, std::int64_t timestamp) {
  const auto bytes = entry.subspan(k_batch_offset_in_entry);
  const BatchHeader batch = decode_batch_header(bytes.first<k_batch_header_size>());
  if (batch.max_timestamp < timestamp) return std::nullopt;
  if (batch.codec() != Codec::none) return ShardLog::OffsetAt{batch.base_offset, batch.base_timestamp};
  RecordReader reader(batch, bytes.subspan(k_batch_header_size, batch.size() - k_batch_header_size));
  RecordView record;
  while (true) {
    auto more = reader.next(record);
    if (!more || !*more) return std::nullopt;
    if (record.timestamp >= timestamp) return ShardLog::OffsetAt{record.offset, record.timestamp};
  }
}

// The first record of these entries that is at `start` or beyond it and has such a timestamp.
Result<std::optional<ShardLog::OffsetAt>> search_entries(const std::vector<Slice>& entries, Offset start,
                                                         std::int64_t timestamp) {
  for (const Slice& slice : entries) {
    std::span<const std::byte> rest = slice.bytes();
    while (!rest.empty()) {
      TRY(const EntryHeader header, decode_entry_header(rest));
      if (header.type == EntryType::batch) {
        const auto at = search_batch(rest.first(entry_size(header.batch_length)), timestamp);
        if (at && at->offset >= start) return at;
      }
      rest = rest.subspan(padded_entry_size(header.batch_length));
    }
  }
  return std::nullopt;
}

}  // namespace

LogView view_of(const Group& group) {
  return {group.start, group.end, group.durable, group.term};
}

LogSize size_of(const Group& group) {
  LogSize size{group.unplaced_bytes, static_cast<std::uint32_t>(group.segments.size())};
  for (const SegmentRef& segment : group.segments) size.bytes += segment->end;
  return size;
}

Result<ReadResult> LogReader::read_memory(const Group& group, Offset from, std::uint64_t max_bytes,
                                          FirstEntry first) {
  ReadResult result;
  result.next_offset = from;
  auto entry = first_beyond(group, from);
  const auto end = durable_end(group);
  if (first == FirstEntry::within_max && entry < end && entry->bytes.length > max_bytes) {
    result.first_entry_needs = entry->bytes.length;
    return result;
  }
  for (; entry < end && (result.bytes == 0 || result.bytes + entry->bytes.length <= max_bytes); ++entry) {
    result.bytes += entry->bytes.length;
    result.next_offset = entry->next_offset;
    const bool adjoins = !result.entries.empty() &&
                         result.entries.back().buffer.data() == entry->bytes.buffer.data() &&
                         result.entries.back().offset + result.entries.back().length == entry->bytes.offset;
    if (adjoins) {
      result.entries.back().length += entry->bytes.length;
    } else {
      result.entries.push_back(entry->bytes);
    }
  }
  if (result.entries.size() > k_slices_max - 2) {
    TRY(Slice slice, together(context_.reactor, result.entries, result.bytes));
    result.entries.assign(1, slice);
  }
  ++context_.counters.reads_memory;
  context_.counters.read_bytes_memory += result.bytes;
  return result;
}

Task<Result<ReadResult>> LogReader::read(GroupRef group, Offset from, std::uint64_t max_bytes,
                                         FirstEntry first) {
  const auto in_range = [&]() -> Result<void> {
    if (group->removing) return fail(ErrorCode::not_found, "group {} was deleted", group->id.value());
    if (from >= group->start.offset && from <= group->durable.next_offset) return {};
    return fail(ErrorCode::offset_out_of_range, "offset {} is outside of [{}, {}]", from.value(),
                group->start.offset.value(), group->durable.next_offset.value());
  };
  CO_TRY_VOID(in_range());
  ReadResult result;
  result.next_offset = from;
  if (from < group->durable.next_offset) {
    auto found = in_memory(*group, from) ? read_memory(*group, from, max_bytes, first)
                                         : co_await cold_.read(group, from, max_bytes, first);
    // A trim may have taken the file from under the read: then that is what there is to say.
    CO_TRY_VOID(in_range());
    if (!found) co_return found;
    result = *std::move(found);
  }
  result.view = view_of(*group);
  co_return result;
}

Task<Result<void>> LogReader::wait_readable(GroupRef group, Offset from, std::uint64_t min_bytes,
                                            MonotonicTime deadline) {
  Counted counted;
  while (true) {
    CO_TRY_VOID(context_.refusal(*group));
    if (context_.reactor.now() >= deadline || is_readable(*group, from, min_bytes, counted))
      co_return Result<void>{};
    if (deadline == k_never) {
      co_await group->readable.wait();
    } else {
      co_await WaitUntil(context_.reactor, group->readable, deadline);
    }
  }
}

Task<Result<Index>> LogReader::index_of(GroupRef group, Offset offset) {
  if (offset >= group->durable.next_offset) co_return next(group->durable.last_index);
  if (in_memory(*group, offset)) {
    co_return group->tail_first +
        static_cast<std::uint64_t>(first_beyond(*group, offset) - group->tail.begin());
  }
  CO_TRY(const ReadResult found, co_await cold_.read(group, offset, 1, FirstEntry::whatever_size));
  if (found.entries.empty()) co_return group->tail_first;
  CO_TRY(const EntryHeader header, decode_entry_header(found.entries.front().bytes()));
  co_return header.index;
}

Result<void> LogReader::may_search() const {
  if (!searches_ended_) return {};
  return fail(ErrorCode::shutting_down, "the server is stopping; search again later");
}

// Between `from` and the offset it gives there is no such timestamp, as far as the index tells: an item's
// largest may stand in a batch that says more than its records do.
Task<Result<Offset>> LogReader::where_to_search(GroupRef group, std::int64_t timestamp, Offset from) {
  CO_TRY(SegmentRef segment, co_await cold_.find_segment(group, from));
  std::optional<Offset> candidate;  // an item goes as far as the next one
  while (segment) {
    CO_TRY_VOID(may_search());
    if (!segment->indexed) {
      auto prepared = co_await cold_.prepare(group, segment);
      const bool is_trimmed = std::ranges::find(group->segments, segment) == group->segments.end();
      if (!prepared && is_trimmed && !group->removing) {
        segment = segment_after(*group, *segment);
        continue;
      }
      if (!prepared) co_return fail(std::move(prepared).error());
    }
    auto item = std::ranges::upper_bound(segment->index, from, {}, &SparseIndexItem::offset);
    if (item != segment->index.begin()) --item;
    for (; item != segment->index.end(); ++item) {
      if (candidate && item->offset > from) co_return std::max(*candidate, from);
      candidate.reset();
      if (segment->max_timestamp < timestamp) break;
      if (item->max_timestamp >= timestamp) candidate = item->offset;
    }
    segment = segment_after(*group, *segment);
  }
  co_return std::max(candidate.value_or(group->placed.next_offset), from);
}

// Looks at what one read gives; how far that goes.
Task<Result<Offset>> LogReader::search_step(GroupRef group, std::int64_t timestamp, Offset from,
                                            std::optional<ShardLog::OffsetAt>& at) {
  CO_TRY_VOID(may_search());
  CO_TRY(const ReadResult found, co_await read(group, from, 1_MiB, FirstEntry::whatever_size));
  CO_TRY(at, search_entries(found.entries, group->start.offset, timestamp));
  co_return found.next_offset;
}

Task<Result<ShardLog::OffsetAt>> LogReader::offset_for_timestamp(GroupRef group, std::int64_t timestamp,
                                                                 Offset from, MonotonicTime until) {
  while (true) {
    const auto somewhere = co_await where_to_search(group, timestamp, from);
    if (!somewhere && from < group->start.offset) {  // trimmed meanwhile
      from = group->start.offset;
      continue;
    }
    CO_TRY(from, somewhere);
    from = std::max(from, group->start.offset);
    if (from >= group->durable.next_offset) break;
    std::optional<ShardLog::OffsetAt> at;
    co_await searching_.lock();
    const auto searched = co_await search_step(group, timestamp, from, at);
    searching_.unlock();
    if (!searched && from < group->start.offset) continue;  // trimmed meanwhile
    if (!searched) co_return fail(searched.error());
    if (at) co_return *at;
    if (*searched <= from) break;
    from = *searched;
    // Much of a log may have to be looked at: others come between, and time goes on.
    co_await context_.reactor.yield();
    if (context_.reactor.now() >= until)
      co_return ShardLog::OffsetAt{.offset = from, .timestamp = -1, .complete = false};
  }
  co_return ShardLog::OffsetAt{.offset = group->durable.next_offset};
}

}  // namespace millrace
