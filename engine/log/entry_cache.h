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
  // `bytes`: memory that the runs' entries hold.
  void add(std::uint64_t bytes, RecycledVector<Run> runs);
  // Lets the oldest go while there is more than the cap. Entries without a place in a segment cannot go: the
  // groups that hold up the oldest are returned, for the mover.
  [[nodiscard]] RecycledVector<GroupRef> evict();
  // The group's log ends with `last` now.
  void cut(const Group& group, Index last);
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Block {
    std::uint64_t bytes = 0;
    RecycledVector<Run> runs;
  };
  LogContext& context_;
  RecycledDeque<Block> blocks_;
  std::uint64_t bytes_ = 0;
};

}  // namespace millrace
