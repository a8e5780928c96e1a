// EntryCache: keeps recent entries in memory within a cap, oldest out first.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/log/log_context.h"

namespace millrace {

class EntryCache {
 public:
  explicit EntryCache(LogContext& context) : context_(context) {}

  // A commit's entries of one group, up to `last`.
  struct Run {
    GroupRef group;
    Index last{0};
  };
  // `memory`: what the runs' entries hold, part of the context's.
  void add(HeldMemory memory, RecycledVector<Run> runs);
  // Lets the oldest go while there is more than the cap, or more of other shards' memory than this one's part
  // of it. Entries without a place in a segment cannot go: the
  // groups that hold up the oldest are returned, for the mover.
  [[nodiscard]] RecycledVector<GroupRef> evict();
  // The group's log ends with `last` now.
  void cut(const Group& group, Index last);

 private:
  struct Block {
    HeldMemory memory;
    RecycledVector<Run> runs;
  };
  [[nodiscard]] bool is_full() const;
  LogContext& context_;
  RecycledDeque<Block> blocks_;
  HeldMemory memory_;
};

}  // namespace millrace
