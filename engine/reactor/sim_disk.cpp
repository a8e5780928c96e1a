// Files: bytes and sizes, now and durably.
#include "engine/reactor/sim_disk.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/check.h"

namespace millrace {

SimDisk::SimDisk(std::uint64_t capacity) : capacity_(capacity) {
  Node root;
  root.is_folder = true;
  root.links = root.durable_links = 1;
  state_.nodes.emplace(k_root, std::move(root));
}

SimFileId SimDisk::add_node(bool is_folder) {
  const SimFileId id = state_.next_file++;
  state_.nodes[id].is_folder = is_folder;
  return id;
}

std::uint64_t SimDisk::space_of(const Node& node) {
  return (node.content.size() + SimContent::k_page_size - 1) / SimContent::k_page_size *
         SimContent::k_page_size;
}

std::uint64_t SimDisk::room(const Node& node, std::uint64_t wanted) const {
  const std::uint64_t free = capacity_ > used_ ? capacity_ - used_ : 0;
  return std::max(node.content.size(), std::min(wanted, space_of(node) + free));
}

// ---- opening and closing ----------------------------------------------------

SimResult<SimFileId> SimDisk::open(std::string_view path, OpenMode mode) {
  SimFileId id = 0;
  if (mode == OpenMode::create) {
    const auto place = find(path);
    if (!place) return std::unexpected(place.error());
    if (place->file != 0) return std::unexpected(EEXIST);
    id = add_node(false);
    change_names({place->binding(id)});
  } else {
    const auto place = find_existing(path, false);
    if (!place) return std::unexpected(place.error());
    id = place->file;
  }
  hold(id);
  return id;
}

void SimDisk::hold(SimFileId file) {
  ++node(file).opens;
}

void SimDisk::close(SimFileId file) {
  Node& closed = node(file);
  CHECK(closed.opens > 0, "file {} is closed twice", file);
  --closed.opens;
  if (closed.opens == 0) unlinked(file);
}

// ---- bytes ------------------------------------------------------------------

SimResult<std::uint64_t> SimDisk::read(SimFileId file, std::uint64_t position,
                                       std::span<std::byte> into) const {
  return node(file).content.read(position, into);
}

SimResult<std::uint64_t> SimDisk::size(SimFileId file) const {
  return node(file).content.size();
}

SimResult<std::uint64_t> SimDisk::write(SimFileId file, std::uint64_t position,
                                        std::span<const std::byte> bytes, Sync sync) {
  Node& written = node(file);
  const std::uint64_t end_allowed = room(written, position + bytes.size());
  if (end_allowed <= position && !bytes.empty()) return std::unexpected(ENOSPC);
  bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), end_allowed - position));
  const std::uint64_t end = position + bytes.size();
  used_ -= space_of(written);
  written.content.write(position, bytes);
  used_ += space_of(written);
  if (sync == Sync::data) {
    // The size that this write gives the file stands on what it was cut to before.
    for (const Change& change : written.changes) {
      if (change.kind == Kind::shrink) apply(change, written);
    }
    std::erase_if(written.changes, [](const Change& change) { return change.kind == Kind::shrink; });
    supersede(written, position, end);
    written.durable.copy_range(written.content, position, end);
    ++state_.next_mark;
  } else {
    add_change(written, position, end, Kind::bytes);
  }
  return bytes.size();
}

SimResult<void> SimDisk::allocate(SimFileId file, std::uint64_t position, std::uint64_t length) {
  const std::uint64_t size = std::max(position + length, node(file).content.size());
  const std::uint64_t end_allowed = room(node(file), size);
  if (auto grown = resize(file, end_allowed); !grown) return grown;
  if (end_allowed < size) return std::unexpected(ENOSPC);
  return {};
}

SimResult<void> SimDisk::resize(SimFileId file, std::uint64_t size) {
  Node& resized = node(file);
  const std::uint64_t old_size = resized.content.size();
  if (room(resized, size) < size) return std::unexpected(ENOSPC);
  used_ -= space_of(resized);
  resized.content.resize(size);
  used_ += space_of(resized);
  if (size < old_size) {
    drop_beyond(resized, size);
    add_change(resized, size, old_size, Kind::shrink);
  } else if (size > old_size) {
    add_change(resized, old_size, size, Kind::grow);
  }
  return {};
}

void SimDisk::add_change(Node& changed, std::uint64_t begin, std::uint64_t end, Kind kind) {
  Change change{.mark = state_.next_mark++, .begin = begin, .end = end, .kind = kind, .bytes = {}};
  if (kind == Kind::bytes) change.bytes = changed.content.extract(begin, end);
  changed.changes.push_back(std::move(change));
}

void SimDisk::sync(SimFileId file, SimMark mark) {
  auto& changes = node(file).changes;
  const auto covered =
      std::ranges::find_if(changes, [&](const Change& change) { return change.mark >= mark; });
  std::for_each(changes.begin(), covered, [&](const Change& change) { apply(change, node(file)); });
  changes.erase(changes.begin(), covered);
}

void SimDisk::forget_changes(SimFileId file, SimMark mark) {
  std::erase_if(node(file).changes,
                [&](const Change& change) { return change.kind == Kind::bytes && change.mark < mark; });
}

void SimDisk::apply(const Change& change, Node& node) {
  switch (change.kind) {
    case Kind::bytes:
      return node.durable.copy_range(change.bytes, change.begin, change.end);
    case Kind::grow:
      return node.durable.resize(std::max(node.durable.size(), change.end));
    case Kind::shrink:
      return node.durable.resize(std::min(node.durable.size(), change.begin));
  }
}

// [begin, end) is durable now: what is pending below it is of the past.
void SimDisk::supersede(Node& node, std::uint64_t begin, std::uint64_t end) {
  std::vector<Change> left;
  for (Change& change : node.changes) {
    if (change.kind != Kind::bytes || change.end <= begin || change.begin >= end) {
      left.push_back(std::move(change));
      continue;
    }
    Change before = change, after = std::move(change);
    before.end = begin;
    after.begin = end;
    if (before.begin < before.end) left.push_back(std::move(before));
    if (after.begin < after.end) left.push_back(std::move(after));
  }
  node.changes = std::move(left);
}

// The file was cut: what was pending beyond its new end never reaches the device.
void SimDisk::drop_beyond(Node& node, std::uint64_t size) {
  for (Change& change : node.changes) {
    if (change.kind != Kind::shrink) change.end = std::min(change.end, size);
  }
  std::erase_if(node.changes, [](const Change& change) { return change.begin >= change.end; });
}

}  // namespace millrace
