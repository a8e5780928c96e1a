#include "engine/log/group_keeper.h"

#include <algorithm>

#include "engine/base/entry_header.h"
#include "engine/log/journal_room.h"
#include "engine/log/segment_maker.h"
#include "engine/log/segment_scan.h"

namespace millrace {

void GroupKeeper::adopt(const RecoveredGroup& recovered) {
  auto group = std::make_shared<Group>(context_.reactor, recovered.id);
  group->term = recovered.term;
  group->voted_for = recovered.voted_for;
  group->start = recovered.start;
  group->recovered = group->placed = group->durable = group->end = recovered.end;
  group->placed_at = recovered.segment;
  group->checkpointed_segment = recovered.segment.segment;
  group->place_next = group->tail_first = next(recovered.end.last_index);
  for (const Index first : recovered.segments) {
    auto segment = std::make_shared<Segment>();
    segment->header.first_index = first;
    group->segments.push_back(std::move(segment));
  }
  if (!group->segments.empty()) {
    Segment& last = *group->segments.back();
    last.end = recovered.segment.position;
    last.allocated = last.end;
    last.writable = recovered.segment.open;
    last.header.created_at = recovered.last_created_at;
  }
  group->producers = recovered.producers;
  context_.producers += group->producers.size();
  context_.groups.emplace(recovered.id, std::move(group));
}

Task<Result<void>> GroupKeeper::make_folder(GroupId id) {
  auto made = co_await context_.reactor.create_folder(context_.folder.group_folder(id));
  // A folder without a journaled group is what a crash in the middle of create() leaves.
  if (!made && made.error().code != ErrorCode::already_exists) co_return made;
  co_return context_.checked(co_await context_.reactor.sync_folder(context_.folder.groups_folder()));
}

Result<void> GroupKeeper::check_room_for(std::size_t more) const {
  const std::size_t most = groups_max(context_.journal_file_size);
  if (context_.checkpointed_groups() + creating_.size() + more <= most) return {};
  return fail(ErrorCode::invalid_argument,
              "a shard with journal files of {} bytes keeps at most {} partitions: delete some, or start "
              "with larger journal files or more shards",
              context_.journal_file_size, most);
}

Task<Result<void>> GroupKeeper::create(GroupId id, LogSettings settings) {
  if (context_.failure) co_return fail(*context_.failure);
  if (context_.stopping) co_return fail(ErrorCode::shutting_down, "the log is stopping");
  if (context_.groups.contains(id) || creating_.contains(id)) {
    co_return fail(ErrorCode::already_exists, "group {} exists", id.value());
  }
  CO_TRY_VOID(check_room_for(1));
  creating_.insert(id);
  auto group = std::make_shared<Group>(context_.reactor, id);
  group->settings = settings;
  auto made = co_await make_folder(id);
  if (made) made = co_await make_segment(context_, group, SpaceFor::clients);
  if (!made) (void)co_await remove_files(id);
  creating_.erase(id);
  if (!made) co_return made;
  const SegmentEnd at{group->segments.back()->first_index(), k_block_size, true};
  group->placed_at = at;
  group->checkpointed_segment = at.segment;
  GroupStateRecord state;
  state.segment = {at.segment, at.position, false};
  // It can be found from the moment its record is on its way: a checkpoint that comes later has to hold it,
  // and entries come behind.
  context_.groups.emplace(id, group);
  context_.deleted.erase(id);
  co_return co_await committer_.wait_complete(committer_.add_records({{id, state}}));
}

Task<Result<void>> GroupKeeper::settle(GroupRef group) {
  // The mover may be asked for a last time by a commit that completes now; move() returns when nothing is
  // left to place.
  while (group->durable != group->end && !context_.failure) co_await committer_.progress().wait();
  CO_TRY_VOID(co_await mover_.move(group));
  while (group->move_queued && !context_.failure) co_await mover_.progress().wait();
  if (context_.failure) co_return fail(*context_.failure);
  co_return Result<void>{};
}

Task<Result<void>> GroupKeeper::remove_files(GroupId id) {
  const std::string folder = context_.folder.group_folder(id);
  CO_TRY(const std::vector<FolderEntry> entries, co_await context_.reactor.list(folder));
  for (const FolderEntry& entry : entries)
    CO_TRY_VOID(co_await context_.reactor.remove_file(folder + "/" + entry.name));
  CO_TRY_VOID(co_await context_.reactor.remove_folder(folder));
  co_return context_.checked(co_await context_.reactor.sync_folder(context_.folder.groups_folder()));
}

Task<Result<void>> GroupKeeper::remove(GroupId id) {
  CO_TRY(GroupRef group, context_.find(id));
  group->removing = true;
  // Retention may be making or removing a segment of it.
  co_await group->tending.lock();
  auto removed = co_await remove_tended(group);
  group->tending.unlock();
  co_return removed;
}

Task<Result<void>> GroupKeeper::remove_tended(GroupRef group) {
  const GroupId id = group->id;
  co_await group->admission.lock();
  auto settled = co_await settle(group);
  if (settled) {
    // Durable before the first file goes: from here on no restart looks for them.
    group->gone = true;
    context_.deleted.insert(id);
    settled = co_await committer_.wait_complete(committer_.add_records({{id, GroupRemovedRecord{}}}));
  }
  group->wake_everybody();
  group->admission.unlock();
  if (!settled) co_return settled;
  reader_.cold().forget(*group);
  // The cache of recent entries may hold the group for long; with its files open their space would stay
  // taken.
  for (const SegmentRef& segment : group->segments) segment->file = {};
  group->unplaced_bytes = 0;
  context_.producers -= group->producers.size();
  context_.groups.erase(id);
  auto files_removed = co_await remove_files(id);
  if (files_removed) context_.deleted.erase(id);
  co_return files_removed;
}

// Where the entries after `last` begin in the segments: everything has been placed before.
Task<Result<CutRecord>> GroupKeeper::find_cut(GroupRef group, Index last) {
  const auto after = std::upper_bound(group->segments.begin(), group->segments.end(), last,
                                      [](Index i, const SegmentRef& s) { return i < s->first_index(); });
  // Cut before the first entry of the first segment: that one is emptied.
  const SegmentRef segment = after == group->segments.begin() ? *after : *std::prev(after);
  CO_TRY(const File file, co_await reader_.cold().prepare(group, segment));
  CutRecord cut;
  CO_TRY(const ScanEnd found, co_await find_end(context_.reactor, file, segment->header, last));
  cut.end = found.end;
  cut.segment = {segment->first_index(), found.position, false};
  co_return cut;
}

Task<Result<void>> GroupKeeper::truncate(GroupRef group, Index last) {
  // Retention may be sealing or removing a segment of it.
  co_await group->tending.lock();
  auto done = co_await truncate_tended(group, last);
  group->tending.unlock();
  co_return done;
}

Task<Result<void>> GroupKeeper::truncate_tended(GroupRef group, Index last) {
  if (last + 1 < group->start.index || last > group->end.last_index) {
    co_return fail(ErrorCode::offset_out_of_range, "cannot cut after index {}: the log is [{}, {}]",
                   last.value(), group->start.index.value(), group->end.last_index.value());
  }
  co_await group->admission.lock();
  auto done = co_await settle(group);
  if (done && last != group->end.last_index) done = co_await make_cut(group, last);
  group->admission.unlock();
  co_return done;
}

Task<Result<void>> GroupKeeper::make_cut(GroupRef group, Index last) {
  CO_TRY(const CutRecord cut, co_await find_cut(group, last));
  // From the moment its record is on its way: a checkpoint that comes later must not bring the suffix back.
  const Sequence sequence = committer_.add_records({{group->id, cut}});
  std::vector<SegmentRef> gone = cut_off(*group, cut);
  CO_TRY_VOID(co_await committer_.wait_complete(sequence));
  auto removed = co_await remove_cut_files(group, std::move(gone));
  // They would come back as a part of a log that goes on without them; the next start removes them.
  if (!removed) context_.fail(removed.error());
  co_return removed;
}

// What is not in memory any more has to go from the disk, too; ascending.
std::vector<SegmentRef> GroupKeeper::cut_off(Group& group, const CutRecord& cut) {
  const Index last = cut.end.last_index;
  ++group.cuts;
  while (!group.tail.empty() && group.tail_end() > next(last)) group.tail.pop_back();
  group.tail_first = std::min(group.tail_first, next(last));
  group.placed = group.durable = group.end = cut.end;
  group.placed_at = cut.segment;
  // A restart looks for the file that the cut names.
  group.checkpointed_segment = std::min(group.checkpointed_segment, cut.segment.segment);
  group.recovered = std::min(group.recovered, cut.end);
  group.place_next = next(last);
  group.undescribed.clear();
  group.producers.cut(cut.end.next_offset);
  const auto after = std::upper_bound(group.segments.begin(), group.segments.end(), cut.segment.segment,
                                      [](Index i, const SegmentRef& s) { return i < s->first_index(); });
  std::vector<SegmentRef> gone(after, group.segments.end());
  group.segments.erase(after, group.segments.end());
  Segment& segment = *group.segments.back();
  segment.end = cut.segment.position;
  segment.reserved = 0;
  segment.writable = false;
  segment.sealed_at = {};
  std::erase_if(segment.index, [&](const SparseIndexItem& item) { return item.position >= segment.end; });
  cache_.cut(group, last);
  reader_.cold().forget(group);
  return gone;
}

// Newest first, so that what is left is a log without a hole whenever power fails.
Task<Result<void>> GroupKeeper::remove_cut_files(GroupRef group, std::vector<SegmentRef> segments) {
  for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
    CO_TRY_VOID(
        co_await context_.reactor.remove_file(context_.folder.segment(group->id, (*segment)->first_index())));
  }
  co_return context_.checked(co_await context_.reactor.sync_folder(context_.folder.group_folder(group->id)));
}

}  // namespace millrace
