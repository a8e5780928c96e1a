#include "engine/log/entry_cache.h"

#include <algorithm>

namespace millrace {
namespace {

bool in_segments(const EntryCache::Run& run) {
  return run.group->gone || run.group->placed.last_index >= run.last;
}

void drop(const EntryCache::Run& run) {
  Group& group = *run.group;
  while (!group.tail.empty() && group.tail_first <= run.last) {
    group.tail.pop_front();
    group.tail_first = next(group.tail_first);
  }
}

}  // namespace

void EntryCache::add(std::uint64_t bytes, RecycledVector<Run> runs) {
  bytes_ += bytes;
  blocks_.push_back({bytes, std::move(runs)});
}

// A run would wait for a place of entries that are gone, and hold up all that came later.
void EntryCache::cut(const Group& group, Index last) {
  for (Block& block : blocks_) {
    for (Run& run : block.runs) {
      if (run.group.get() == &group) run.last = std::min(run.last, last);
    }
  }
}

RecycledVector<GroupRef> EntryCache::evict() {
  RecycledVector<GroupRef> holding;
  while (bytes_ > context_.options.cache_bytes && !blocks_.empty()) {
    Block& oldest = blocks_.front();
    for (const Run& run : oldest.runs) {
      if (!in_segments(run)) holding.push_back(run.group);
    }
    if (!holding.empty()) break;
    for (const Run& run : oldest.runs) drop(run);
    bytes_ -= oldest.bytes;
    blocks_.pop_front();
  }
  return holding;
}

}  // namespace millrace
