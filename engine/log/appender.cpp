#include "engine/log/appender.h"

#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/base/record_batch.h"
#include "engine/log/format_bytes.h"
#include "engine/log/placement.h"
#include "engine/reactor/wait_until.h"

namespace millrace {
namespace {

// In a RecordBatch.
constexpr std::uint32_t k_max_timestamp_at = 35;
constexpr std::uint32_t k_assigned_bytes = k_entry_header_size - k_batch_offset_in_entry;

// The most that the entry can take of its segment, padding included. Many entries share an extent and its
// padding, so not each sets a block aside for that: those do with which an extent may begin. They stand close
// enough for select() in committer.cpp, which takes all that a group has gathered or ends before such an
// entry: of k_direct_size_min gathered bytes, one behind the first begins. For let x end them and not begin:
// since_spare + size(x) is less, and counts from the last entry s that began, so s stands behind the first.
// An entry of that size begins by itself (those in place are extents of their own), and so does the one
// behind it.
std::uint64_t reserve_for(Group& group, std::uint32_t size) {
  std::uint64_t reserved = padded_size(size);
  const Index segment = group.segments.back()->first_index();
  if (group.gathered.empty() || segment != group.spare_segment ||
      group.since_spare + size >= k_direct_size_min) {
    reserved += k_block_size;
    group.spare_segment = segment;
    group.since_spare = 0;
  }
  group.since_spare += size;
  return reserved;
}

// Room of the segment to ask for before the above is known: a no-op may come first.
std::uint64_t room_for(const NewEntry& entry) {
  return round_up_to_block(k_entry_header_size + entry.payload.length) + 3 * std::uint64_t{k_block_size};
}

// Whether the log may hold the entry now. The cache lets go of what it has beyond its part, or has it moved
// to where it can, so whoever waits here has something to wait for.
bool has_memory(const LogContext& context, const NewEntry& entry) {
  const HeldMemory more = context.memory_of(entry.payload);
  const auto fits = [](std::uint64_t held, std::uint64_t add, std::uint64_t cached, std::uint64_t beyond) {
    return add == 0 || held <= cached || held + add <= cached + beyond;
  };
  const ShardLogOptions& options = context.options;
  return fits(context.held.bytes, more.bytes, options.cache_bytes, options.unplaced_bytes_max) &&
         fits(context.held.foreign, more.foreign, context.foreign_part(options.cache_bytes),
              context.foreign_part(options.unplaced_bytes_max));
}

}  // namespace

NewEntry Appender::batch_entry(const Slice& batch, std::uint32_t offset_count) {
  NewEntry entry;
  entry.offset_count = offset_count;
  entry.max_timestamp = load_be<std::int64_t>(batch.bytes().data() + k_max_timestamp_at);
  entry.in_place = batch.offset == k_batch_offset_in_entry && batch.length >= k_direct_size_min &&
                   batch.buffer.capacity() >= round_up_to_block(k_batch_offset_in_entry + batch.length);
  entry.payload = Slice{batch.buffer, batch.offset + k_assigned_bytes, batch.length - k_assigned_bytes};
  entry.producer = producer_of(batch.bytes());
  return entry;
}

// Where the batch stands already, if it is one that its producer sends again. Before anything is asked of
// memory or disk: what was done before can be answered when they are full.
Result<std::optional<Offset>> Appender::find_original(const Group& group, const NewEntry& entry) {
  TRY_VOID(context_.refusal(group));
  if (!entry.producer.is_idempotent()) return std::nullopt;
  auto original = group.producers.check(entry.producer, entry.offset_count);
  if (!original) {
    ++context_.counters.refused_sequences;
  } else if (*original) {
    ++context_.counters.duplicates;
  }
  return original;
}

bool Appender::is_admitted(const Group& group, const NewEntry& entry) const {
  return has_memory(context_, entry) && has_room(group, room_for(entry));
}

Task<Result<void>> Appender::admit(const GroupRef& group, const NewEntry& entry, MonotonicTime deadline,
                                   SpaceFor who) {
  CO_TRY_VOID(context_.refusal(*group));
  while (!has_memory(context_, entry)) {
    if (context_.reactor.now() >= deadline) {
      co_return fail(ErrorCode::overloaded,
                     "recent entries and those that wait for the disk hold {} bytes, the most allowed; try "
                     "again later",
                     context_.held.bytes);
    }
    co_await WaitUntil(context_.reactor, context_.space, deadline);
    CO_TRY_VOID(context_.refusal(*group));
  }
  if (!has_room(*group, room_for(entry))) {
    auto room = co_await make_room(context_, group, room_for(entry), who);
    if (!room) {
      if (room.error().code == ErrorCode::disk_full) ++context_.counters.refused_disk_full;
      co_return room;
    }
    CO_TRY_VOID(context_.refusal(*group));
  }
  co_return Result<void>{};
}

// A term belongs to one start of one leader: it is durable no later than the first entry that bears it, and a
// no-op goes before everything else (Raft, section 8).
void Appender::begin_term(const GroupRef& group) {
  group->term_begun = true;
  group->term = next(group->term);
  group->voted_for = context_.node;
  committer_.add_records({{group->id, VoteRecord{group->term, group->voted_for}}});
  assign(group, NewEntry{EntryType::no_op, {}, false, 0, -1});
}

Appended Appender::assign(const GroupRef& group, NewEntry entry) {
  GatheredEntry gathered;
  EntryHeader header;
  header.payload_checksum =
      xxh3(entry.payload.length == 0 ? std::span<const std::byte>{} : entry.payload.bytes());
  header.prev_checksum = group->end.chain;
  header.index = next(group->end.last_index);
  header.group = group->id;
  header.offset_count = entry.offset_count;
  header.type = entry.type;
  header.base_offset = group->end.next_offset;
  header.batch_length = k_entry_batch_length_min + static_cast<std::int32_t>(entry.payload.length);
  header.term = group->term;
  gathered.end = {header.index, header.next_offset(), encode(header, gathered.header)};
  const std::uint32_t size = k_entry_header_size + entry.payload.length;
  gathered.reserved = reserve_for(*group, size);
  group->segments.back()->reserved += gathered.reserved;
  gathered.payload = std::move(entry.payload);
  gathered.in_place = entry.in_place;
  gathered.type = entry.type;
  gathered.max_timestamp = entry.max_timestamp;
  gathered.at = context_.reactor.now();
  if (entry.producer.is_idempotent()) {
    const std::size_t known = group->producers.size();
    group->producers.note(entry.producer, entry.offset_count, header.base_offset,
                          context_.producers_per_group());
    context_.producers += group->producers.size() - known;
  }
  group->end = gathered.end;
  group->unplaced_bytes += size;
  context_.held += context_.memory_of(gathered.payload);
  ++context_.counters.appends;
  context_.counters.append_bytes += size;
  group->gathered.push_back(std::move(gathered));
  committer_.touch(group);
  return {header.index, header.base_offset, group->term, AckLevel::leader};
}

Task<Result<Appended>> Appender::append(GroupRef group, NewEntry entry, AckLevel level,
                                        MonotonicTime deadline, SpaceFor who) {
  if (!group->admission.try_lock() && !co_await group->admission.lock_until(deadline)) {
    CO_TRY_VOID(context_.refusal(*group));
    co_return fail(ErrorCode::overloaded,
                   "others wait for memory or the disk to append to group {} before; try again later",
                   group->id.value());
  }
  // Nothing else enters until this one has its place, so that what is checked here still holds there.
  const auto original = find_original(*group, entry);
  if (!original || *original) {
    group->admission.unlock();
    if (!original) co_return fail(original.error());
    co_return co_await answer_duplicate(group, **original, level);
  }
  // As a rule there is nothing to wait for, and no coroutine to make.
  Result<void> admitted;
  if (!is_admitted(*group, entry)) admitted = co_await admit(group, entry, deadline, who);
  if (!admitted) {
    group->admission.unlock();
    co_return fail(std::move(admitted).error());
  }
  if (!group->term_begun) begin_term(group);
  Appended appended = assign(group, std::move(entry));
  group->admission.unlock();
  if (level == AckLevel::durable) {
    CO_TRY_VOID(co_await wait_durable(group, appended.index));
    appended.level = AckLevel::durable;
  }
  co_return appended;
}

// While the original is on its way, the duplicate waits for it, and hears what becomes of it.
Task<Result<Appended>> Appender::answer_duplicate(GroupRef group, Offset original, AckLevel level) {
  Appended appended{Index{0}, original, group->term, level, true};
  if (level != AckLevel::durable) {
    appended.level = AckLevel::leader;
  } else if (original >= group->durable.next_offset) {
    CO_TRY_VOID(co_await wait_durable(group, group->end.last_index));
  }
  co_return appended;
}

Task<Result<void>> Appender::wait_durable(GroupRef group, Index index) {
  // Waiters come in index order: nothing suspends between assign() and here.
  group->durable_waiting.push_back(index);
  co_await group->durable_changed.wait();
  if (group->durable.last_index >= index) co_return Result<void>{};
  if (context_.failure) co_return fail(*context_.failure);
  co_return fail(ErrorCode::not_found, "group {} was deleted before the entry was durable",
                 group->id.value());
}

}  // namespace millrace
