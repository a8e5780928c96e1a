// Mover: carries durable entries from memory to their segments, in large extents, off the path of
// acknowledgement.
//
// A group is moved when k_move_size of it wait, and at once when the journal or memory needs the room.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/log/entry_cache.h"
#include "engine/log/log_context.h"
#include "engine/log/placement.h"

namespace millrace {

class Mover {
 public:
  Mover(LogContext& context, EntryCache& cache)
      : context_(context), cache_(cache), progress_(context.reactor), gate_(context.reactor) {
    context.wake_on_failure.push_back(&progress_);
  }

  // Moves the group if it has enough to be worth it.
  void offer(const GroupRef& group);
  // Moves the group's durable entries whatever their size.
  void press(const GroupRef& group);
  // Presses groups until the cache is within its cap or nothing more can be done.
  void make_room_in_cache();
  // Moves everything that is durable now of all groups, and returns when it stands in segments.
  Task<Result<void>> move_all();
  // The same for one group.
  Task<Result<void>> move(GroupRef group);
  // Woken when an extent has been moved, when entries were placed by a commit, and when the log has failed.
  [[nodiscard]] WaitQueue& progress() { return progress_; }
  Task<void> stop();

 private:
  Task<void> run();
  Task<void> move_extent(GroupRef group);
  LogContext& context_;
  EntryCache& cache_;
  RecycledDeque<GroupRef> queue_;
  std::vector<Piece> pieces_;  // of the move that begins; not used across a suspension
  std::uint32_t running_ = 0;
  WaitQueue progress_;
  Gate gate_;
};

}  // namespace millrace
