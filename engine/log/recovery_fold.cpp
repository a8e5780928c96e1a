#include "engine/log/recovery_fold.h"

#include <algorithm>

#include "engine/base/entry_header.h"
#include "engine/base/record_batch.h"
#include "engine/base/trim_payload.h"

namespace millrace {
namespace {

void drop_placed(FoldedGroup& group) {
  while (!group.entries.empty() && group.entries.front().index <= group.placed.last_index)
    group.entries.pop_front();
}

Result<void> extend(FoldedGroup& group, const ExtentRecord& extent) {
  if (extent.end.last_index <= group.placed.last_index) return {};
  const bool goes_on = extent.first_index == next(group.placed.last_index) &&
                       extent.chain_before == group.placed.chain &&
                       extent.first_offset == group.placed.next_offset;
  if (!goes_on) {
    return fail(
        ErrorCode::corruption,
        "group {}: an extent of entries {} to {} does not go on where its segments end, after entry {}",
        group.id.value(), extent.first_index.value(), extent.end.last_index.value(),
        group.placed.last_index.value());
  }
  const bool in_order = extent.segment > group.segment.segment || (extent.segment == group.segment.segment &&
                                                                   extent.position >= group.segment.position);
  if (!in_order) {
    return fail(ErrorCode::corruption,
                "group {}: an extent at {} of segment {} lies before the end at {} of segment {}",
                group.id.value(), extent.position, extent.segment.value(), group.segment.position,
                group.segment.segment.value());
  }
  group.placed = extent.end;
  group.segment = {extent.segment, extent.position + extent.length, true};
  group.extended.insert(extent.segment);
  drop_placed(group);
  return {};
}

// The entry's header, whose bytes are all there and whole.
Result<EntryHeader> check_entry(GroupId group, std::span<const std::byte> bytes) {
  TRY(const EntryHeader header, decode_entry_header(bytes));
  const std::uint32_t size = entry_size(header.batch_length);
  if (header.group != group || bytes.size() < size || bytes.size() > padded_size(size)) {
    return fail(ErrorCode::corruption,
                "entry {} of group {} with {} bytes in a record of group {} with {} bytes",
                header.index.value(), header.group.value(), size, group.value(), bytes.size());
  }
  if (!check_payload(header, bytes.subspan(k_entry_header_size, header.payload_size()))) {
    return fail(ErrorCode::corruption, "the payload of entry {} of group {} does not match its checksum",
                header.index.value(), group.value());
  }
  return header;
}

void note_producer(ProducerTable& producers, const EntryHeader& header, std::span<const std::byte> entry) {
  const auto batch = entry.subspan(k_batch_offset_in_entry);
  if (header.type != EntryType::batch || batch.size() < k_batch_header_size) return;
  const ProducerStamp stamp = producer_of(batch);
  if (!stamp.is_idempotent()) return;
  producers.note(stamp, header.offset_count, header.base_offset, k_producers_max);
}

}  // namespace

JournalFold::Group& JournalFold::group(GroupId id) {
  Group& group = groups_[id];
  group.folded.id = id;
  return group;
}

Result<void> JournalFold::add(GroupId id, const EntryRecord& record, const ScannedCommit& commit) {
  TRY(const EntryHeader header, check_entry(id, record.entry));
  Group& group = this->group(id);
  if (header.type == EntryType::trim) {
    TRY(const TrimPayload trim,
        decode_trim_payload(record.entry.subspan(k_entry_header_size, header.payload_size())));
    group.trims.push_back({header.index, {trim.start_index, trim.start_offset}});
  }
  note_producer(group.folded.producers, header, record.entry);
  if (group.has_placed && header.index <= group.folded.placed.last_index) return {};
  auto& entries = group.folded.entries;
  if (!entries.empty() && header.index <= entries.back().index) {
    return fail(ErrorCode::corruption, "group {}: entry {} comes after entry {}", id.value(),
                header.index.value(), entries.back().index.value());
  }
  const auto offset = static_cast<std::uint32_t>(record.entry.data() - commit.body.data());
  entries.push_back({header.index, commit.header.sequence, offset, entry_size(header.batch_length)});
  return {};
}

Result<void> JournalFold::add(Group& group, const ExtentRecord& record) {
  if (group.has_placed) return extend(group.folded, record);
  group.early.push_back(record);
  return {};
}

Result<void> JournalFold::add(Group& group, const GroupStateRecord& record) {
  FoldedGroup& folded = group.folded;
  folded.term = record.term;
  folded.voted_for = record.voted_for;
  folded.start = record.start;
  if (!group.has_placed || record.end.last_index >= folded.placed.last_index) {
    folded.placed = record.end;
    folded.segment = record.segment;
  }
  drop_placed(folded);
  // What the state tells of stands in segments, synced, and those before the one it names may have been
  // removed since: nothing has to be done to them.
  std::erase_if(folded.extended, [&](Index segment) { return segment < record.segment.segment; });
  group.has_state = group.has_placed = true;
  for (const ExtentRecord& extent : std::exchange(group.early, {})) TRY_VOID(extend(folded, extent));
  return {};
}

void JournalFold::add(Group& group, const CutRecord& record) {
  FoldedGroup& folded = group.folded;
  // Everything was placed before the cut was made, so nothing of what the journal holds remains.
  folded.entries.clear();
  folded.producers.cut(record.end.next_offset);
  group.early.clear();
  std::erase_if(group.trims, [&](const auto& trim) { return trim.first > record.end.last_index; });
  folded.placed = record.end;
  folded.segment = record.segment;
  // Later ones are gone.
  std::erase_if(folded.extended, [&](Index segment) { return segment > record.segment.segment; });
  group.has_placed = true;
}

Result<void> JournalFold::add(const ScannedCommit& commit) {
  JournalRecordReader reader(commit.body);
  std::uint32_t count = 0;
  for (; !reader.done(); ++count) {
    TRY(const JournalRecord record, reader.next());
    const GroupId id = record.group;
    clean_ = false;
    if (const auto* entry = std::get_if<EntryRecord>(&record.body)) {
      TRY_VOID(add(id, *entry, commit));
    } else if (const auto* extent = std::get_if<ExtentRecord>(&record.body)) {
      TRY_VOID(add(group(id), *extent));
    } else if (const auto* state = std::get_if<GroupStateRecord>(&record.body)) {
      removed_.erase(id);
      TRY_VOID(add(group(id), *state));
    } else if (const auto* cut = std::get_if<CutRecord>(&record.body)) {
      add(group(id), *cut);
    } else if (const auto* producer = std::get_if<ProducerRecord>(&record.body)) {
      group(id).folded.producers.restore(producer->state, k_producers_max);
    } else if (const auto* vote = std::get_if<VoteRecord>(&record.body)) {
      group(id).folded.term = vote->term;
      group(id).folded.voted_for = vote->voted_for;
    } else if (const auto* end = std::get_if<CheckpointEndRecord>(&record.body)) {
      clean_ = end->clean;
    } else {
      groups_.erase(id);
      removed_.insert(id);
    }
  }
  if (count == commit.header.record_count) return {};
  return fail(ErrorCode::corruption, "{} journal records, expected {}", count, commit.header.record_count);
}

Result<void> JournalFold::finish(Group& group, const JournalScan& scan) const {
  FoldedGroup& folded = group.folded;
  if (!group.has_state) {
    return fail(ErrorCode::corruption, "group {} is not in the checkpoint, nor was it made after it",
                folded.id.value());
  }
  for (const auto& [index, start] : group.trims) folded.start = std::max(folded.start, start);
  folded.end = folded.placed;
  for (const FoldedEntry& entry : folded.entries) {
    const ScannedCommit* commit = scan.find(entry.commit);
    TRY(const EntryHeader header,
        decode_entry_header(std::span(commit->body).subspan(entry.offset, k_entry_header_size)));
    const bool goes_on = header.index == next(folded.end.last_index) &&
                         header.prev_checksum == folded.end.chain &&
                         header.base_offset == folded.end.next_offset;
    if (!goes_on) {
      return fail(ErrorCode::corruption,
                  "group {}: entry {} of commit {} does not go on where the log ends, after entry {} (the "
                  "chain breaks)",
                  folded.id.value(), header.index.value(), entry.commit.value(),
                  folded.end.last_index.value());
    }
    folded.end = {header.index, header.next_offset(), header.header_checksum};
  }
  folded.producers.cut(folded.end.next_offset);
  return {};
}

Result<FoldedJournal> JournalFold::finish(const JournalScan& scan) {
  FoldedJournal journal;
  journal.removed = std::move(removed_);
  journal.clean = clean_;
  for (auto& [id, group] : groups_) {
    TRY_VOID(finish(group, scan));
    journal.groups.emplace(id, std::move(group.folded));
  }
  return journal;
}

}  // namespace millrace
