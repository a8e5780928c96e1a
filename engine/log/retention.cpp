#include "engine/log/retention.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine/base/trim_payload.h"
#include "engine/log/ballast.h"
#include "engine/log/placement.h"
#include "engine/reactor/wait_until.h"

namespace millrace {
namespace {
constexpr std::size_t k_groups_in_a_turn = 16;
}

Task<void> Retention::stop() {
  stopping_ = true;
  context_.untidy_added.wake_all();
  co_await gate_.close();
}

Task<void> Retention::run() {
  MonotonicTime next_round = context_.reactor.now() + context_.options.retention_interval;
  while (!stopping_ && !context_.failure) {
    if (context_.reactor.now() >= next_round) {
      next_round = context_.reactor.now() + context_.options.retention_interval;
      co_await look_after_all(all_groups());
    } else if (!context_.untidy.empty()) {
      co_await look_after_all(std::exchange(context_.untidy, {}));
    } else {
      co_await WaitUntil(context_.reactor, context_.untidy_added, next_round);
      continue;
    }
    // What was just removed may be what it takes.
    if (context_.ballast->is_given_up() && !stopping_)
      co_await restore_ballast(context_, context_.options.ballast_size);
  }
}

std::vector<GroupRef> Retention::all_groups() const {
  std::vector<GroupRef> groups;
  for (const auto& [id, group] : context_.groups) groups.push_back(group);
  return groups;
}

Task<void> Retention::look_after_all(std::vector<GroupRef> groups) {
  std::size_t looked = 0;
  for (const GroupRef& group : groups) {
    if (stopping_ || context_.failure) co_return;
    co_await look_after(group, Look::all);
    // Most groups have nothing to do, and nobody else would come between thousands of them.
    if (++looked % k_groups_in_a_turn == 0) co_await context_.reactor.yield();
  }
}

Task<void> Retention::look_after(GroupRef group, Look look) {
  co_await group->tending.lock();
  group->untidy = false;
  Result<void> done;
  if (!group->removing && look == Look::all) {
    done = co_await tend(group);
  } else if (!group->removing) {
    done = co_await seal_rolled(group, look);
  }
  group->tending.unlock();
  if (done || done.error().code == ErrorCode::shutting_down) co_return;
  context_.reactor.log(LogLevel::warning,
                       fmt::format("retention of group {}: {}", group->id.value(), done.error().message));
}

Task<void> Retention::seal_all() {
  for (const GroupRef& group : all_groups()) {
    if (!context_.failure) co_await look_after(group, Look::known);
  }
}

// Each step whatever became of those before it: on a full disk the first ones find no space, and the last
// ones make some.
Task<Result<void>> Retention::tend(GroupRef group) {
  Result<void> first;
  const auto note = [&](Result<void> done) {
    if (first) first = std::move(done);
  };
  note(co_await roll_aged(group));
  note(co_await seal_rolled(group, Look::all));
  note(co_await apply_limits(group));
  note(co_await remove_before_start(group));
  co_return first;
}

Task<Result<void>> Retention::roll_aged(GroupRef group) {
  if (group->settings.segment_age.count() == 0 || group->segments.empty()) co_return Result<void>{};
  const Segment& last = *group->segments.back();
  const auto age = std::chrono::milliseconds(context_.reactor.wall_clock().milliseconds -
                                             last.header.created_at.milliseconds);
  if (!last.writable || last.end + last.reserved == k_block_size || age < group->settings.segment_age)
    co_return Result<void>{};
  co_await group->admission.lock();
  auto made = co_await make_segment(context_, group, SpaceFor::clients);
  group->admission.unlock();
  co_return made;
}

Task<Result<void>> Retention::seal_rolled(GroupRef group, Look look) {
  for (std::size_t i = first_live(*group); i + 1 < group->segments.size() && !group->removing; ++i) {
    const SegmentRef segment = group->segments[i], after = group->segments[i + 1];
    if (segment->sealed_at.milliseconds != 0 || (look == Look::known && !segment->indexed)) continue;
    if (group->placed.last_index < after->first_index() - 1) break;
    // The next one's header tells how this one ends.
    CO_TRY_VOID(co_await reader_.cold().prepare(group, segment));
    CO_TRY_VOID(co_await reader_.cold().prepare(group, after));
    if (segment->sealed_at.milliseconds == 0) CO_TRY_VOID(co_await seal_segment(context_, group, segment));
  }
  co_return Result<void>{};
}

// The log may begin with the first segment whose predecessors are due: by size, those without which
// retention_bytes are still there, sealed or not; by age, what was sealed too long ago. The open segment
// stays.
Task<Result<void>> Retention::apply_limits(GroupRef group) {
  const bool is_limited = group->settings.retention_bytes != 0 || group->settings.retention_age.count() != 0;
  if (!is_limited || group->segments.size() < 2) co_return Result<void>{};
  const std::vector<SegmentRef> segments = live_segments(*group);
  // What is known of each now. A file that could not be read before counts for nothing, also if its end is
  // learned on the way: what is left is never taken for more than it is.
  std::vector<std::uint64_t> sizes;
  for (const SegmentRef& segment : segments) sizes.push_back(segment->end);
  std::uint64_t bytes = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  const auto now = context_.reactor.wall_clock();
  Offset keep_from = group->start.offset;
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
    const Segment& segment = *segments[i];
    if (group->placed.last_index < segments[i + 1]->first_index() - 1) break;
    const bool is_sealed = segment.sealed_at.milliseconds != 0;
    const auto age = std::chrono::milliseconds(now.milliseconds - segment.sealed_at.milliseconds);
    const bool too_much =
        group->settings.retention_bytes != 0 && bytes - sizes[i] >= group->settings.retention_bytes;
    const bool too_old =
        is_sealed && group->settings.retention_age.count() != 0 && age > group->settings.retention_age;
    if (!too_much && !too_old) break;
    bytes -= sizes[i];
    CO_TRY_VOID(co_await reader_.cold().prepare(group, segments[i + 1]));
    keep_from = segments[i + 1]->first_offset();
  }
  if (keep_from <= group->start.offset) co_return Result<void>{};
  CO_TRY_VOID(co_await trim(group, keep_from));
  co_return Result<void>{};
}

Task<Result<LogStart>> Retention::trim(GroupRef group, Offset offset) {
  if (offset > group->durable.next_offset) {
    co_return fail(ErrorCode::offset_out_of_range, "cannot trim to offset {}: the log ends at {}",
                   offset.value(), group->durable.next_offset.value());
  }
  if (offset <= group->start.offset) co_return group->start;
  const auto index = co_await reader_.index_of(group, offset);
  // Another trim may have gone further meanwhile, and the file be gone from under the search.
  if (offset <= group->start.offset) co_return group->start;
  if (!index) co_return fail(index.error());
  const auto bytes = encode(TrimPayload{*index, offset});
  CO_TRY(Buffer buffer, context_.reactor.buffers().acquire(bytes.size(), PoolPart::reserve));
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  NewEntry entry{EntryType::trim, Slice{buffer, 0, static_cast<std::uint32_t>(bytes.size())}, false, 0, -1};
  // The start moves when the entry is durable (Committer::complete()).
  CO_TRY_VOID(co_await appender_.append(group, std::move(entry), AckLevel::durable, k_never, SpaceFor::own));
  context_.tidy_soon(group);
  co_return group->start;
}

Task<Result<void>> Retention::remove_before_start(GroupRef group) {
  const auto due = [&] {
    return group->segments.size() > 1 && group->segments[1]->first_index() <= group->start.index;
  };
  // A restart looks for the file that the last checkpoint names, so that one stays until a later checkpoint
  // names another.
  const auto free = [&] { return group->segments[1]->first_index() <= group->checkpointed_segment; };
  if (due() && !free()) CO_TRY_VOID(co_await checkpointer_.checkpoint(false));
  bool removed = false;
  Result<void> done;
  while (done && due() && free() && !group->removing) {
    const SegmentRef segment = group->segments.front();
    group->segments.erase(group->segments.begin());
    // Readers that hold the segment go on reading it: the file lives until its last descriptor is closed.
    reader_.cold().forget(*group);
    done = co_await context_.reactor.remove_file(context_.folder.segment(group->id, segment->first_index()));
    // It may have gone although an error was told.
    if (!done && done.error().code == ErrorCode::not_found) done = {};
    if (done) {
      ++context_.counters.segments_removed;
      removed = true;
    } else {
      group->segments.insert(group->segments.begin(), segment);  // for the next round
    }
  }
  if (removed) {
    CO_TRY_VOID(
        context_.checked(co_await context_.reactor.sync_folder(context_.folder.group_folder(group->id))));
  }
  co_return done;
}

}  // namespace millrace
