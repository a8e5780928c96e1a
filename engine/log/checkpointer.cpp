#include "engine/log/checkpointer.h"

namespace millrace {
namespace {
// Group states written in one commit: a commit of this size does not delay appends that share it.
constexpr std::size_t k_states_per_commit = 1024;

GroupStateRecord state_of(const Group& group, bool clean) {
  GroupStateRecord state;
  state.term = group.term;
  state.voted_for = group.voted_for;
  state.start = group.start;
  state.segment = group.placed_at;
  state.end = group.placed;
  if (!group.segments.empty() && group.placed == group.end) {
    const Segment& last = *group.segments.back();
    state.segment = {last.first_index(), last.end, clean && last.writable};
  } else {
    state.segment.open = false;
  }
  return state;
}
}  // namespace

Task<void> Checkpointer::stop() {
  stopping_ = true;
  committer_.progress().wake_all();
  co_await gate_.close();
}

// Half the ring: what is left takes the appends that arrive while entries are moved.
bool Checkpointer::due() const {
  return journal_.room() < journal_.size() / 2;
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
  std::vector<std::pair<GroupRef, Index>> files;
  for (std::size_t at = 0; at < groups.size(); at += k_states_per_commit) {
    std::vector<JournalRecord> states;
    for (std::size_t i = at; i < std::min(at + k_states_per_commit, groups.size()); ++i) {
      Group& group = *groups[i];
      if (group.gone) continue;
      const GroupStateRecord state = state_of(group, clean);
      files.emplace_back(groups[i], state.segment.segment);
      states.push_back({group.id, state});
      // What stands in the state needs no description any more.
      std::erase_if(group.undescribed, [&](const ExtentRecord& extent) {
        return extent.end.last_index <= group.placed.last_index;
      });
      ++end.group_count;
    }
    CO_TRY_VOID(co_await committer_.wait_complete(committer_.add_records(states)));
  }
  const std::vector<JournalRecord> last{{k_metadata_group, end}};
  CO_TRY_VOID(co_await committer_.wait_complete(committer_.add_records(last)));
  for (const auto& [group, segment] : files) group->checkpointed_segment = segment;
  journal_.release(replay_from);
  committer_.room_made();
  ++context_.counters.checkpoints;
  co_return Result<void>{};
}

}  // namespace millrace
