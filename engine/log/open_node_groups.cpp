#include <algorithm>
#include <cstring>

#include "engine/base/entry_header.h"
#include "engine/log/format_bytes.h"
#include "engine/log/open_node_parts.h"
#include "engine/log/segment_scan.h"

namespace millrace {
namespace {

constexpr std::uint32_t k_write_size = 1u << 20;

std::unexpected<Error> missing(const std::string& path, const std::string& what) {
  return fail(ErrorCode::corruption, "{}: {}; put it back from a copy, or let replicas fill an empty folder",
              path, what);
}

// Names alone show what is there; the last segment's header shows that it is the right one. Gives when it was
// made.
Task<Result<WallTime>> check_last_header(OpenContext& context, GroupId group, Index first) {
  CO_TRY(File file, co_await context.reactor.open(context.folder.segment(group, first),
                                                  {.mode = OpenMode::read, .direct = true}));
  CO_TRY(const SegmentHeader header, co_await read_segment_header(context.reactor, file));
  const auto other = whose_header(header, context.identity.cluster, group, first);
  if (other) co_return missing(file.label(), *other);
  co_return header.created_at;
}

Result<void> check_segments(OpenContext& context, const FoldedGroup& group, const GroupFiles& files) {
  const std::string folder = context.folder.group_folder(group.id);
  const Index last = files.segments.empty() ? Index{0} : files.segments.back();
  if (last != group.segment.segment) {
    const std::string path = context.folder.segment(group.id, std::max(last, group.segment.segment));
    if (last < group.segment.segment)
      return missing(path, "the segment is missing, although the journal says that the log ends in it");
    return missing(path, fmt::format("the segment stands behind segment {}, in which the log ends",
                                     group.segment.segment.value()));
  }
  for (const Index first : group.extended) {
    if (std::ranges::binary_search(files.segments, first)) continue;
    return missing(context.folder.segment(group.id, first),
                   "the segment is missing, although the journal has extents in it");
  }
  const bool holds_entries = group.start.index <= group.placed.last_index;
  if (holds_entries && (files.segments.empty() || files.segments.front() > group.start.index)) {
    return missing(folder, fmt::format("the segment that holds the log's start, entry {}, is missing",
                                       group.start.index.value()));
  }
  return {};
}

// Writes a segment as one stream of bytes, each of which is copied once.
class SegmentWriter {
 public:
  SegmentWriter(Reactor& reactor, File file, Buffer buffer)
      : reactor_(reactor), file_(std::move(file)), buffer_(std::move(buffer)) {}

  Task<Result<void>> append(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::size_t part = std::min<std::size_t>(bytes.size(), k_write_size - filled_);
      std::memcpy(buffer_.data() + filled_, bytes.data(), part);
      filled_ += static_cast<std::uint32_t>(part);
      bytes = bytes.subspan(part);
      if (filled_ == k_write_size) CO_TRY_VOID(co_await flush());
    }
    co_return Result<void>{};
  }
  // Zeros up to a multiple of `unit`.
  void pad(std::uint32_t unit) {
    const auto end = static_cast<std::uint32_t>(round_up(filled_, unit));
    std::memset(buffer_.data() + filled_, 0, end - filled_);
    filled_ = end;
  }
  Task<Result<void>> flush() {
    if (filled_ == 0) co_return Result<void>{};
    CO_TRY_VOID(co_await reactor_.write(file_, Slice{buffer_, 0, filled_}, position_, Sync::no));
    position_ += filled_;
    filled_ = 0;
    co_return Result<void>{};
  }
  [[nodiscard]] std::uint64_t position() const { return position_ + filled_; }

 private:
  Reactor& reactor_;
  File file_;
  Buffer buffer_;
  std::uint32_t filled_ = 0;
  std::uint64_t position_ = 0;
};

// Header and one extent with all the entries, `size` bytes without the padding behind them; gives the end of
// the extent.
Task<Result<std::uint64_t>> write_content(Reactor& reactor, File file, const SegmentHeader& header,
                                          std::uint64_t size, const FoldedGroup& group,
                                          const CommitBodies& bodies) {
  CO_TRY(Buffer buffer, reactor.buffers().acquire(std::min<std::uint64_t>(size, k_write_size)));
  std::array<std::byte, k_block_size> block{};
  encode_segment_header(header, block);
  SegmentWriter writer(reactor, file, std::move(buffer));
  CO_TRY_VOID(co_await writer.append(block));
  for (const FoldedEntry& entry : group.entries) {
    CO_TRY_VOID(co_await writer.append(std::span(bodies.at(entry.commit)).subspan(entry.offset, entry.size)));
    writer.pad(k_entry_alignment);
  }
  writer.pad(k_block_size);
  CO_TRY_VOID(co_await writer.flush());
  CO_TRY_VOID(co_await reactor.sync(std::move(file)));
  co_return writer.position();
}

// Gives the entries that stand in the journal alone a segment of their own. If power fails in here, the
// journal still has them: the next start finds a segment behind the end, and replaces it.
Task<Result<SegmentEnd>> write_segment(OpenContext& context, const FoldedGroup& group,
                                       const CommitBodies& bodies) {
  Reactor& reactor = context.reactor;
  const SegmentHeader header{context.identity.cluster, group.id,           next(group.placed.last_index),
                             group.placed.next_offset, group.placed.chain, reactor.wall_clock()};
  const std::string path = context.folder.segment_in_making(group.id, header.first_index);
  std::uint64_t size = k_block_size;
  for (const FoldedEntry& entry : group.entries) size += padded_size(entry.size);
  CO_TRY_VOID(co_await remove_if_there(reactor, path));
  CO_TRY(File file, co_await reactor.open(path, {.mode = OpenMode::create, .direct = true}));
  CO_TRY_VOID(co_await allocate_file(context, file, round_up_to_block(size)));
  CO_TRY(const std::uint64_t end, co_await write_content(reactor, file, header, size, group, bodies));
  CO_TRY_VOID(co_await reactor.rename(path, context.folder.segment(group.id, header.first_index)));
  co_return SegmentEnd{header.first_index, end, false};
}

// Gives back the space behind the end of the last segment, which was set aside for the very entries that now
// need another segment: on a full disk they would not find any.
Task<Result<void>> release_space_behind(OpenContext& context, const FoldedGroup& group) {
  const std::string path = context.folder.segment(group.id, group.segment.segment);
  CO_TRY(const File file,
         co_await context.reactor.open(path, {.mode = OpenMode::read_write, .direct = true}));
  CO_TRY(const std::uint64_t size, co_await context.reactor.size(file));
  const std::uint64_t end = round_up_to_block(group.segment.position);
  if (size > end) CO_TRY_VOID(co_await context.reactor.resize(file, end));
  co_return Result<void>{};
}

Task<Result<void>> remove_folder_with_files(Reactor& reactor, std::string path) {
  CO_TRY(const std::vector<FolderEntry> entries, co_await reactor.list(path));
  for (const FolderEntry& entry : entries)
    CO_TRY_VOID(co_await reactor.remove_file(fmt::format("{}/{}", path, entry.name)));
  co_return co_await reactor.remove_folder(path);
}

}  // namespace

Task<Result<GroupFiles>> check_group(OpenContext& context, const FoldedGroup& group) {
  const std::string folder = context.folder.group_folder(group.id);
  auto entries = co_await context.reactor.list(folder);
  if (!entries && entries.error().code == ErrorCode::not_found)
    co_return missing(folder, "the group's folder is missing");
  if (!entries) co_return fail(std::move(entries).error());
  GroupFiles files;
  for (const FolderEntry& entry : *entries) {
    const auto first = DataFolder::segment_first_index(entry.name);
    if (!first) {
      if (entry.name.ends_with(".new")) files.leftovers.push_back(entry.name);
      continue;
    }
    // The segment in which the log ends may be empty; every other one that begins behind the end was never
    // part of the log.
    const bool is_placed = *first <= group.placed.last_index || *first == group.segment.segment;
    (is_placed ? files.segments : files.beyond).push_back(*first);
  }
  CO_TRY_VOID(check_segments(context, group, files));
  if (!files.segments.empty()) {
    CO_TRY(files.last_created_at, co_await check_last_header(context, group.id, files.segments.back()));
  }
  co_return files;
}

Task<Result<RecoveredGroup>> settle_group(OpenContext& context, const FoldedGroup& group, GroupFiles files,
                                          const CommitBodies& bodies, bool clean) {
  Reactor& reactor = context.reactor;
  const std::string folder = context.folder.group_folder(group.id);
  RecoveredGroup recovered{group.id,      group.term,     group.voted_for, group.start,          group.end,
                           group.segment, files.segments, group.producers, files.last_created_at};
  for (const Index first : group.extended) {
    CO_TRY_VOID(co_await make_durable(reactor, context.folder.segment(group.id, first)));
  }
  for (const std::string& name : files.leftovers)
    CO_TRY_VOID(co_await reactor.remove_file(fmt::format("{}/{}", folder, name)));
  for (auto first = files.beyond.rbegin(); first != files.beyond.rend(); ++first) {
    CO_TRY_VOID(co_await reactor.remove_file(context.folder.segment(group.id, *first)));
  }
  // Only after a clean stop is it certain that nothing was written behind the end, in the last segment or in
  // a later one.
  recovered.segment.open = clean && group.segment.open && files.beyond.empty();
  if (!group.entries.empty()) {
    if (!files.segments.empty()) CO_TRY_VOID(co_await release_space_behind(context, group));
    CO_TRY(recovered.segment, co_await write_segment(context, group, bodies));
    // It has replaced an empty segment of the same name.
    if (recovered.segments.empty() || recovered.segments.back() != recovered.segment.segment) {
      recovered.segments.push_back(recovered.segment.segment);
    }
  }
  const bool names_changed = !files.leftovers.empty() || !files.beyond.empty() || !group.entries.empty();
  if (names_changed || !group.extended.empty()) CO_TRY_VOID(co_await reactor.sync_folder(folder));
  co_return recovered;
}

Task<Result<void>> tidy_group_folders(OpenContext& context, const std::vector<ReadJournal>& journals) {
  Reactor& reactor = context.reactor;
  CO_TRY(const std::vector<FolderEntry> entries, co_await reactor.list(context.folder.groups_folder()));
  const auto stands_in = [&](const auto& part, GroupId group) {
    return std::ranges::any_of(
        journals, [&](const ReadJournal& journal) { return (journal.folded.*part).contains(group); });
  };
  bool removed = false;
  for (const FolderEntry& entry : entries) {
    const auto group = DataFolder::group_of(entry.name);
    if (!group || stands_in(&FoldedJournal::groups, *group)) continue;
    if (stands_in(&FoldedJournal::removed, *group)) {
      CO_TRY_VOID(co_await remove_folder_with_files(reactor, context.folder.group_folder(*group)));
      removed = true;
    } else {
      context.notes.push_back(fmt::format("{} belongs to no group that the journals know; left alone",
                                          context.folder.group_folder(*group)));
    }
  }
  if (removed) CO_TRY_VOID(co_await reactor.sync_folder(context.folder.groups_folder()));
  co_return Result<void>{};
}

}  // namespace millrace
