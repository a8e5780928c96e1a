// A simulated disk as tests look at it and change it.
#include <algorithm>
#include <fmt/format.h>

#include "engine/base/check.h"
#include "engine/reactor/sim_disk.h"

namespace millrace {

std::optional<std::string> SimDisk::read_file(std::string_view path) const {
  const auto place = find_existing(path, false);
  if (!place) return std::nullopt;
  const SimContent& content = node(place->file).content;
  std::string bytes(content.size(), '\0');
  content.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

void SimDisk::write_file(std::string_view path, std::string_view bytes) {
  for (std::size_t slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1)) {
    if (create_folder(path.substr(0, slash))) continue;  // else it is there already
    CHECK(find_existing(path.substr(0, slash), true), "{} cannot be a folder", path.substr(0, slash));
  }
  auto file = open(path, OpenMode::read_write);
  if (!file) file = open(path, OpenMode::create);
  CHECK(file, "{}: error {}", path, file.error());
  Node& written = node(*file);
  used_ -= space_of(written);
  written.changes.clear();
  written.content = SimContent{};
  written.content.write(0, std::as_bytes(std::span(bytes)));
  written.durable = written.content;
  used_ += space_of(written);
  close(*file);
  for (std::size_t slash = path.rfind('/'); slash != path.npos && slash > 0;
       slash = path.rfind('/', slash - 1)) {
    CHECK(sync_folder(path.substr(0, slash), mark()));
  }
  CHECK(sync_folder("/", mark()));
}

void SimDisk::flip(std::string_view path, std::uint64_t position, std::uint8_t mask) {
  const auto place = find_existing(path, false);
  CHECK(place, "no file {}", path);
  Node& rotten = node(place->file);
  CHECK(position < rotten.content.size(), "{} ends at {}", path, rotten.content.size());
  const auto flip_in = [&](SimContent& content) {
    std::byte byte{};
    if (content.read(position, std::span(&byte, 1)) == 0) return;
    byte ^= std::byte{mask};
    content.write(position, std::span(&byte, 1));
  };
  flip_in(rotten.content);
  flip_in(rotten.durable);
  for (Change& change : rotten.changes) {
    const bool has_it = change.begin <= position && position < change.end;
    if (change.kind == Kind::bytes && has_it) flip_in(change.bytes);
  }
}

std::vector<std::string> SimDisk::tree() const {
  std::vector<std::string> lines;
  const auto visit = [&](const auto& self, SimFileId folder, const std::string& prefix) -> void {
    for (const auto& [name, id] : node(folder).names) {
      const bool is_folder = node(id).is_folder;
      lines.push_back(is_folder ? fmt::format("{}{}/", prefix, name)
                                : fmt::format("{}{} {}", prefix, name, node(id).content.size()));
      if (is_folder) self(self, id, fmt::format("{}{}/", prefix, name));
    }
  };
  visit(visit, k_root, {});
  return lines;
}

std::uint64_t SimDisk::used() const {
  return used_;
}

std::size_t SimDisk::pending() const {
  std::size_t count = state_.name_changes.size();
  for (const auto& [id, node] : state_.nodes) count += node.changes.size();
  return count;
}

}  // namespace millrace
