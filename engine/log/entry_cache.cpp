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

void EntryCache::add(HeldMemory memory, RecycledVector<Run> runs) {
  memory_ += memory;
  blocks_.push_back({memory, std::move(runs)});
}

bool EntryCache::is_full() const {
  const std::uint64_t cap = context_.options.cache_bytes;
  return memory_.bytes > cap || memory_.foreign > context_.foreign_part(cap);
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
  while (is_full() && !blocks_.empty()) {
    Block& oldest = blocks_.front();
    for (const Run& run : oldest.runs) {
      if (!in_segments(run)) holding.push_back(run.group);
    }
    if (!holding.empty()) break;
    for (const Run& run : oldest.runs) drop(run);
    memory_ -= oldest.memory;
    context_.held -= oldest.memory;
    context_.space.wake_all();
    blocks_.pop_front();
  }
  return holding;
}

}  // namespace millrace
