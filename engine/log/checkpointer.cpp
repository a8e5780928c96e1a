#include "engine/log/checkpointer.h"

#include <algorithm>

#include "engine/log/journal_room.h"

namespace millrace {
namespace {
// Records of a checkpoint in one commit: one of this size does not delay appends that share it.
constexpr std::uint64_t k_records_size_max = 128_KiB;

// The segment that begins where the group's placed entries end, if it is there already. As soon as a state
// has named it, retention may take the one in which they end.
const Segment* segment_behind(const Group& group) {
  const auto segment = std::ranges::lower_bound(group.segments, next(group.placed.last_index), {},
                                                [](const SegmentRef& s) { return s->first_index(); });
  const bool is_there =
      segment != group.segments.end() && (*segment)->first_index() == next(group.placed.last_index);
  return is_there ? segment->get() : nullptr;
}

GroupStateRecord state_of(const Group& group, bool clean) {
  GroupStateRecord state;
  state.term = group.term;
  state.voted_for = group.voted_for;
  state.start = group.start;
  state.end = group.placed;
  state.segment = group.placed_at;
  if (const Segment* behind = segment_behind(group))
    state.segment = {behind->first_index(), k_block_size, false};
  state.segment.open =
      clean && group.placed == group.end && !group.segments.empty() && group.segments.back()->writable;
  CHECK(group.segments.empty() ||
            std::ranges::binary_search(group.segments, state.segment.segment, {},
                                       [](const SegmentRef& s) { return s->first_index(); }),
        "group {} has no segment {} for its state to name", group.id.value(), state.segment.segment.value());
  return state;
}

// What is known of the group's producers now, which may be of later batches than the state: the next start
// drops what it does not find in the log. Gives the bytes that it takes.
std::uint64_t add_producers(LogContext& context, Group& group, std::vector<JournalRecord>& records) {
  // Groups that came since may have left less for each.
  const std::size_t known = group.producers.size();
  group.producers.shrink(context.producers_per_group());
  context.producers -= known - group.producers.size();
  for (const KnownProducer& producer : group.producers.states())
    records.push_back({group.id, ProducerRecord{producer}});
  return std::uint64_t{k_producer_record_size_max} * group.producers.size();
}
}  // namespace

Task<void> Checkpointer::stop() {
  stopping_ = true;
  committer_.progress().wake_all();
  co_await gate_.close();
}

// Half the ring: what is left takes the appends that arrive while entries are moved. Producers may be more
// for a while than groups that have come since leave room for, until a checkpoint lets them go: it has to
// come before entries find no room.
bool Checkpointer::due() const {
  return journal_.room() <
         std::max(journal_.size() / 2, committer_.reserve() + 2 * commit_size_max(journal_.file_size()));
}

Task<void> Checkpointer::run() {
  while (!stopping_ && !context_.failure) {
    if (!due()) {
      co_await committer_.progress().wait();
      continue;
    }
    auto done = co_await checkpoint(false);
    if (!done) context_.fail(std::move(done).error());
  }
}

Task<Result<void>> Checkpointer::checkpoint(bool clean) {
  co_await one_at_a_time_.lock();
  auto written = co_await write(clean);
  one_at_a_time_.unlock();
  co_return written;
}

Task<Result<void>> Checkpointer::write(bool clean) {
  const Sequence replay_from = committer_.next_sequence();
  CO_TRY_VOID(co_await committer_.wait_complete(replay_from - 1));
  CO_TRY_VOID(co_await mover_.move_all());
  std::vector<GroupRef> groups;
  for (const auto& [id, group] : context_.groups) groups.push_back(group);
  CheckpointEndRecord end{replay_from, committer_.next_sequence(), 0, clean};
  struct Named {
    GroupRef group;
    Index segment;
    std::uint64_t cuts = 0;
  };
  std::vector<Named> files;
  std::vector<JournalRecord> records;
  std::uint64_t size = 0;
  for (const GroupRef& each : groups) {
    Group& group = *each;
    if (group.gone) continue;
    const GroupStateRecord state = state_of(group, clean);
    files.push_back({each, state.segment.segment, group.cuts});
    records.push_back({group.id, state});
    size += journal_record_size(state) + add_producers(context_, group, records);
    // What stands in the state needs no description any more.
    std::erase_if(group.undescribed, [&](const ExtentRecord& extent) {
      return extent.end.last_index <= group.placed.last_index;
    });
    ++end.group_count;
    if (size < k_records_size_max) continue;
    CO_TRY_VOID(
        co_await committer_.wait_complete(committer_.add_records(records, Committer::RecordsOf::checkpoint)));
    records.clear();
    size = 0;
  }
  // What their own commits said may be in a file that is written again now, and the next start would take
  // what is left of them for somebody else's.
  for (const GroupId id : context_.deleted) records.push_back({id, GroupRemovedRecord{}});
  records.push_back({k_metadata_group, end});
  CO_TRY_VOID(
      co_await committer_.wait_complete(committer_.add_records(records, Committer::RecordsOf::checkpoint)));
  // A cut that came since has named an earlier file, after the state that stands here.
  for (const auto& [group, segment, cuts] : files) {
    if (group->cuts == cuts) group->checkpointed_segment = segment;
  }
  journal_.release(replay_from);
  committer_.room_made();
  ++context_.counters.checkpoints;
  co_return Result<void>{};
}

}  // namespace millrace
