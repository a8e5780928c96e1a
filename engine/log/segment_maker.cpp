#include "engine/log/segment_maker.h"

#include <algorithm>
#include <cstring>

#include "engine/log/ballast.h"
#include "engine/log/format_bytes.h"
#include "engine/log/placement.h"

namespace millrace {
namespace {

// Space grows by doubling between these: a quiet group holds little, a busy one rarely waits for the file
// system.
constexpr std::uint64_t k_step_min = 128_KiB;
constexpr std::uint64_t k_step_max = 64_MiB;

Task<Result<void>> allocate(LogContext& context, File file, std::uint64_t position, std::uint64_t length,
                            SpaceFor who) {
  if (who == SpaceFor::clients) {
    if (context.ballast->is_given_up()) co_await restore_ballast(context, length);
    if (context.ballast->is_given_up()) {
      co_return fail(ErrorCode::disk_full,
                     "the disk is full, and what {} held is kept for the log's own entries; free some space",
                     context.folder.ballast());
    }
    co_return co_await context.reactor.allocate(std::move(file), position, length);
  }
  co_return co_await allocate_with_ballast(context.reactor, context.folder, std::move(file), position, length,
                                           *context.ballast);
}

// Complete, synced, and not yet under its name.
Task<Result<File>> write_new(LogContext& context, const SegmentHeader& header, std::uint64_t size,
                             SpaceFor who) {
  Reactor& reactor = context.reactor;
  const std::string path = context.folder.segment_in_making(header.group, header.first_index);
  auto file = co_await reactor.open(path, {.mode = OpenMode::create, .direct = true});
  if (!file && file.error().code == ErrorCode::already_exists) {
    CO_TRY_VOID(co_await reactor.remove_file(path));
    file = co_await reactor.open(path, {.mode = OpenMode::create, .direct = true});
  }
  if (!file) co_return file;
  CO_TRY_VOID(co_await allocate(context, *file, 0, size, who));
  CO_TRY(Buffer block, reactor.buffers().acquire(k_block_size, PoolPart::reserve));
  encode_segment_header(header, block.bytes().first(k_block_size));
  CO_TRY_VOID(context.checked(co_await reactor.write(*file, Slice{block, 0, k_block_size}, 0, Sync::data)));
  co_return file;
}

Task<Result<void>> remove_if_there(LogContext& context, std::string path) {
  auto removed = co_await context.reactor.remove_file(std::move(path));
  if (!removed && removed.error().code == ErrorCode::not_found) co_return Result<void>{};
  co_return removed;
}

// If power fails before the rename is durable, the file is a leftover that the next start removes. A rename
// that has failed may have taken effect; under its name the segment would stand in a log that knows nothing
// of it and goes on without it.
Task<Result<void>> name_segment(LogContext& context, const Group& group, const SegmentHeader& header) {
  const std::string path = context.folder.segment(group.id, header.first_index);
  auto named =
      co_await context.reactor.rename(context.folder.segment_in_making(group.id, header.first_index), path);
  if (named) co_return named;
  const bool replaces = !group.segments.empty() && group.segments.back()->first_index() == header.first_index;
  if (!replaces) {
    auto removed = co_await remove_if_there(context, path);
    if (!removed) context.fail(std::move(removed).error());
  }
  co_return named;
}

}  // namespace

Task<Result<void>> make_segment(LogContext& context, GroupRef group, SpaceFor who) {
  auto segment = std::make_shared<Segment>();
  segment->header = {context.cluster,        group->id,        next(group->end.last_index),
                     group->end.next_offset, group->end.chain, context.reactor.wall_clock()};
  segment->allocated = std::min(k_step_min, round_up_to_block(group->settings.segment_size) + k_block_size);
  auto file = co_await write_new(context, segment->header, segment->allocated, who);
  if (file) {
    if (auto named = co_await name_segment(context, *group, segment->header); !named)
      file = fail(std::move(named).error());
  }
  if (!file) {
    (void)co_await context.reactor.remove_file(
        context.folder.segment_in_making(group->id, segment->first_index()));
    co_return fail(std::move(file).error());
  }
  // From here on the segment has its name, and a start would go on in it: the one before takes nothing more,
  // even if the rest fails.
  if (!group->segments.empty()) group->segments.back()->writable = false;
  CO_TRY_VOID(context.checked(co_await context.reactor.sync_folder(context.folder.group_folder(group->id))));
  segment->file = *std::move(file);
  segment->end = k_block_size;
  segment->writable = true;
  segment->indexed = true;
  // A closed segment without an entry has just been replaced.
  if (!group->segments.empty() && group->segments.back()->first_index() == segment->first_index())
    group->segments.pop_back();
  group->segments.push_back(std::move(segment));
  ++context.counters.segments_created;
  co_return Result<void>{};
}

bool has_room(const Group& group, std::uint64_t need) {
  if (group.segments.empty() || !group.segments.back()->writable || !group.segments.back()->file)
    return false;
  const Segment& segment = *group.segments.back();
  const std::uint64_t wanted = segment.end + segment.reserved + need;
  const bool empty = segment.end + segment.reserved == k_block_size;
  return wanted <= segment.allocated && (empty || wanted <= group.settings.segment_size);
}

namespace {

// A file system that runs out of space in the middle leaves the file what it got: all that was left, for
// others, too.
Task<Result<void>> grow(LogContext& context, Segment& segment, std::uint64_t size, SpaceFor who) {
  auto grown = co_await allocate(context, segment.file, segment.allocated, size - segment.allocated, who);
  if (grown) {
    segment.allocated = size;
    co_return grown;
  }
  (void)co_await context.reactor.resize(segment.file, segment.allocated);
  co_return grown;
}

}  // namespace

Task<Result<void>> make_room(LogContext& context, GroupRef group, std::uint64_t need, SpaceFor who) {
  while (!has_room(*group, need)) {
    const bool open = !group->segments.empty() && group->segments.back()->writable;
    if (open && !group->segments.back()->file) {
      const SegmentRef segment = group->segments.back();
      CO_TRY(segment->file,
             co_await context.reactor.open(context.folder.segment(group->id, segment->first_index()),
                                           {.mode = OpenMode::read_write, .direct = true}));
      continue;
    }
    const std::uint64_t taken = open ? group->segments.back()->end + group->segments.back()->reserved : 0;
    if (!open || (taken != k_block_size && taken + need > group->settings.segment_size)) {
      CO_TRY_VOID(co_await make_segment(context, group, who));
      continue;
    }
    const SegmentRef keep = group->segments.back();
    const std::uint64_t step =
        std::max(std::clamp(keep->allocated, k_step_min, k_step_max), round_up_to_block(need));
    const std::uint64_t wanted =
        std::min(keep->allocated + step,
                 std::max(round_up_to_block(taken + need), round_up_to_block(group->settings.segment_size)));
    const std::uint64_t least = round_up_to_block(taken + need);
    // A whole step, but not for the price of the ballast; or else just what this entry needs.
    if (wanted > least && co_await grow(context, *keep, wanted, SpaceFor::clients)) continue;
    CO_TRY_VOID(co_await grow(context, *keep, least, who));
  }
  co_return Result<void>{};
}

Task<Result<void>> seal_segment(LogContext& context, GroupRef group, SegmentRef segment) {
  const auto after = std::upper_bound(group->segments.begin(), group->segments.end(), segment->first_index(),
                                      [](Index i, const SegmentRef& s) { return i < s->first_index(); });
  CHECK(after != group->segments.end(), "the open segment of group {} cannot be sealed", group->id.value());
  SegmentFooter footer;
  footer.index = segment->index;
  footer.end = {(*after)->first_index() - 1, (*after)->first_offset(), (*after)->header.chain_before};
  // After a cut, entries that are gone may stand in the rest of the last block; `end` tells readers to stop
  // before them.
  footer.end_position = round_up_to_block(segment->end);
  footer.max_timestamp = segment->max_timestamp;
  footer.sealed_at = context.reactor.wall_clock();
  const std::uint64_t size = footer_size(footer);
  CO_TRY(Buffer buffer, context.reactor.buffers().acquire(size, PoolPart::reserve));
  std::memset(buffer.data(), 0, size);
  encode_footer(footer, buffer.bytes().first(size));
  File file = segment->file;
  if (!file) {
    CO_TRY(file, co_await context.reactor.open(context.folder.segment(group->id, segment->first_index()),
                                               {.mode = OpenMode::read_write, .direct = true}));
  }
  // A footer is derived: if power fails in here, the next reader makes it again from the extents.
  CO_TRY_VOID(co_await context.reactor.resize(file, footer.end_position + size));
  // A full disk is heard of here, where it is no failed sync.
  CO_TRY_VOID(co_await context.reactor.allocate(file, footer.end_position, size));
  CO_TRY_VOID(context.checked(co_await context.reactor.write(
      file, Slice{buffer, 0, static_cast<std::uint32_t>(size)}, footer.end_position, Sync::data)));
  segment->file = {};  // who reads it opens it again
  segment->sealed_at = footer.sealed_at;
  segment->end = footer.end_position;
  segment->allocated = segment->end + size;
  ++context.counters.segments_sealed;
  co_return Result<void>{};
}

}  // namespace millrace
