// GroupKeeper: groups come, go, and lose a suffix.
#pragma once

#include <unordered_set>
#include <vector>

#include "engine/log/committer.h"
#include "engine/log/log_context.h"
#include "engine/log/log_reader.h"
#include "engine/log/mover.h"

namespace millrace {

class GroupKeeper {
 public:
  GroupKeeper(LogContext& context, Committer& committer, Mover& mover, EntryCache& cache, LogReader& reader)
      : context_(context), committer_(committer), mover_(mover), cache_(cache), reader_(reader) {}

  // Takes over what recovery found.
  void adopt(const RecoveredGroup& recovered);
  // See ShardLog.
  [[nodiscard]] Result<void> check_room_for(std::size_t more) const;
  Task<Result<void>> create(GroupId id, LogSettings settings);
  Task<Result<void>> remove(GroupId id);
  Task<Result<void>> truncate(GroupRef group, Index last);

 private:
  // Returns when nothing of the group is gathered, in a commit or with the mover.
  Task<Result<void>> settle(GroupRef group);
  Task<Result<CutRecord>> find_cut(GroupRef group, Index last);
  Task<Result<void>> truncate_tended(GroupRef group, Index last);
  Task<Result<void>> make_cut(GroupRef group, Index last);
  std::vector<SegmentRef> cut_off(Group& group, const CutRecord& cut);
  Task<Result<void>> remove_cut_files(GroupRef group, std::vector<SegmentRef> segments);
  Task<Result<void>> make_folder(GroupId id);
  Task<Result<void>> remove_tended(GroupRef group);
  Task<Result<void>> remove_files(GroupId id);
  LogContext& context_;
  Committer& committer_;
  Mover& mover_;
  EntryCache& cache_;
  LogReader& reader_;
  std::unordered_set<GroupId> creating_;
};

}  // namespace millrace
