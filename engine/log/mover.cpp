#include "engine/log/mover.h"

#include "engine/log/placement.h"

namespace millrace {
namespace {
// An extent of the mover: large enough that the device's cost of a write does not count, small enough for
// memory.
constexpr std::uint64_t k_extent_bytes = 1_MiB;
// Groups moved side by side; each waits for one synced write.
constexpr std::uint32_t k_moves_max = 8;
}  // namespace

void Mover::offer(const GroupRef& group) {
  if (group->unplaced_bytes >= k_move_size) press(group);
}

void Mover::press(const GroupRef& group) {
  if (group->move_queued || group->place_next > group->durable.last_index) return;
  group->move_queued = true;
  queue_.push_back(group);
  if (running_ < k_moves_max && gate_.spawn(run())) ++running_;
}

void Mover::make_room_in_cache() {
  for (const GroupRef& group : cache_.evict()) press(group);
}

Task<void> Mover::run() {
  while (!queue_.empty() && !context_.failure) {
    GroupRef group = std::move(queue_.front());
    queue_.pop_front();
    co_await move_extent(group);
    // Only now may it queue again, so that its extents are written one after the other.
    group->move_queued = false;
    offer(group);
    make_room_in_cache();
    progress_.wake_all();
  }
  --running_;
}

Task<void> Mover::move_extent(GroupRef group) {
  pieces_of_tail(*group, group->durable.last_index, k_extent_bytes, pieces_);
  if (pieces_.empty() || group->gone) co_return;
  auto placed = place(context_, *group, pieces_);
  while (!placed) {
    // The pool is full of what others hold for a moment; nothing is lost by waiting.
    co_await context_.reactor.sleep(std::chrono::milliseconds(1));
    if (context_.failure) co_return;
    pieces_of_tail(*group, group->durable.last_index, k_extent_bytes, pieces_);
    if (pieces_.empty()) co_return;
    placed = place(context_, *group, pieces_);
  }
  group->undescribed.insert(group->undescribed.end(), placed->extents.begin(), placed->extents.end());
  ++group->moves_started;
  RecycledVector<Operation<std::uint64_t>> writes;
  for (ExtentWrite& write : placed->writes) {
    context_.counters.moved_bytes += write.slices.length();
    writes.push_back(
        context_.reactor.write(write.segment->file, std::move(write.slices), write.position, Sync::data));
  }
  context_.counters.moved_extents += placed->extents.size();
  for (auto& write : writes) {
    auto written = co_await std::move(write);
    if (!written) {
      context_.fail(std::move(written).error());
      co_return;
    }
  }
  ++group->moves_finished;
  group->moved.wake_all();
  placed->outstanding->done = true;
  advance_placed(context_, group);
}

Task<Result<void>> Mover::move(GroupRef group) {
  const Index target = group->durable.last_index;
  while (group->placed.last_index < target && !group->gone) {
    if (context_.failure) co_return fail(*context_.failure);
    press(group);
    co_await progress_.wait();
  }
  co_return Result<void>{};
}

Task<Result<void>> Mover::move_all() {
  std::vector<GroupRef> groups;
  for (const auto& [id, group] : context_.groups) groups.push_back(group);
  for (const GroupRef& group : groups) press(group);
  for (GroupRef& group : groups) CO_TRY_VOID(co_await move(std::move(group)));
  co_return Result<void>{};
}

Task<void> Mover::stop() {
  progress_.wake_all();
  co_await gate_.close();
}

}  // namespace millrace
