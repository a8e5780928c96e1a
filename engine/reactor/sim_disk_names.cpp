// Names: folders and what is in them, now and durably.
#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "engine/base/check.h"
#include "engine/reactor/sim_disk.h"

namespace millrace {

SimResult<SimDisk::Place> SimDisk::find(std::string_view path) const {
  Place place{.folders = {}, .name = {}, .file = k_root};
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (place.folders.empty()) continue;  // above the root is the root
      place.file = place.folders.back();
      place.folders.pop_back();
      continue;
    }
    if (place.file == 0) return std::unexpected(ENOENT);
    if (!node(place.file).is_folder) return std::unexpected(ENOTDIR);
    place.folders.push_back(place.file);
    place.name = part;
    const auto& names = node(place.file).names;
    const auto found = names.find(place.name);
    place.file = found == names.end() ? 0 : found->second;
  }
  return place;
}

SimResult<SimDisk::Place> SimDisk::find_existing(std::string_view path, bool is_folder) const {
  auto place = find(path);
  if (!place) return place;
  if (place->file == 0) return std::unexpected(ENOENT);
  if (node(place->file).is_folder != is_folder) return std::unexpected(is_folder ? ENOTDIR : EISDIR);
  return place;
}

// ---- verbs ------------------------------------------------------------------

SimResult<void> SimDisk::create_folder(std::string_view path) {
  const auto place = find(path);
  if (!place) return std::unexpected(place.error());
  if (place->file != 0) return std::unexpected(EEXIST);
  change_names({place->binding(add_node(true))});
  return {};
}

SimResult<void> SimDisk::remove_folder(std::string_view path) {
  const auto place = find_existing(path, true);
  if (!place) return std::unexpected(place.error());
  if (place->file == k_root) return std::unexpected(EBUSY);
  if (!node(place->file).names.empty()) return std::unexpected(ENOTEMPTY);
  change_names({place->binding(0)});
  return {};
}

SimResult<void> SimDisk::remove_file(std::string_view path) {
  const auto place = find_existing(path, false);
  if (!place) return std::unexpected(place.error());
  change_names({place->binding(0)});
  return {};
}

SimResult<void> SimDisk::rename(std::string_view from, std::string_view to) {
  const auto source = find(from), target = find(to);
  if (!source) return std::unexpected(source.error());
  if (!target) return std::unexpected(target.error());
  if (source->file == 0) return std::unexpected(ENOENT);
  if (source->file == k_root || target->file == k_root) return std::unexpected(EBUSY);
  if (source->file == target->file) return {};
  if (std::ranges::find(target->folders, source->file) != target->folders.end())
    return std::unexpected(EINVAL);
  if (target->file != 0) {
    const Node& replaced = node(target->file);
    if (replaced.is_folder != node(source->file).is_folder) {
      return std::unexpected(replaced.is_folder ? EISDIR : ENOTDIR);
    }
    if (!replaced.names.empty()) return std::unexpected(ENOTEMPTY);
  }
  change_names({source->binding(0), target->binding(source->file)});
  return {};
}

SimResult<std::vector<FolderEntry>> SimDisk::list(std::string_view path) const {
  const auto place = find_existing(path, true);
  if (!place) return std::unexpected(place.error());
  std::vector<FolderEntry> entries;
  for (const auto& [name, id] : node(place->file).names) entries.push_back({name, node(id).is_folder});
  return entries;
}

SimResult<std::uint64_t> SimDisk::free_space(std::string_view path) const {
  const auto place = find(path);
  if (!place) return std::unexpected(place.error());
  if (place->file == 0) return std::unexpected(ENOENT);
  return capacity_ > used_ ? capacity_ - used_ : 0;
}

SimResult<void> SimDisk::sync_folder(std::string_view path, SimMark mark) {
  const auto place = find_existing(path, true);
  if (!place) return std::unexpected(place.error());
  // The changes of this folder, and, because each name changes in order, what happened before to any name
  // that they touch.
  auto& changes = state_.name_changes;
  std::vector<bool> chosen(changes.size());
  std::set<std::pair<SimFileId, std::string>> touched;
  for (std::size_t i = changes.size(); i-- > 0;) {
    const bool is_needed = std::ranges::any_of(changes[i].bindings, [&](const Binding& binding) {
      return (binding.folder == place->file && changes[i].mark < mark) ||
             touched.contains({binding.folder, binding.name});
    });
    if (!is_needed) continue;
    chosen[i] = true;
    for (const Binding& binding : changes[i].bindings) touched.emplace(binding.folder, binding.name);
  }
  make_names_durable(chosen);
  return {};
}

// ---- changing names ---------------------------------------------------------

void SimDisk::change_names(std::vector<Binding> bindings) {
  std::vector<SimFileId> replaced;
  for (const Binding& binding : bindings) {
    auto& names = node(binding.folder).names;
    if (const auto old = names.find(binding.name); old != names.end()) {
      --node(old->second).links;
      replaced.push_back(old->second);
      names.erase(old);
    }
    if (binding.file != 0) {
      ++node(binding.file).links;
      names.emplace(binding.name, binding.file);
    }
  }
  state_.name_changes.push_back({state_.next_mark++, std::move(bindings)});
  for (const SimFileId id : replaced) unlinked(id);
}

void SimDisk::make_names_durable(const std::vector<bool>& chosen) {
  std::vector<NameChange> left, done;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    (chosen[i] ? done : left).push_back(std::move(state_.name_changes[i]));
  }
  state_.name_changes = std::move(left);
  std::vector<SimFileId> touched;
  for (const NameChange& change : done) {
    for (const Binding& binding : change.bindings) {
      auto& names = node(binding.folder).durable_names;
      if (const auto old = names.find(binding.name); old != names.end()) {
        --node(old->second).durable_links;
        touched.push_back(old->second);
        names.erase(old);
      }
      if (binding.file == 0) continue;
      ++node(binding.file).durable_links;
      names.emplace(binding.name, binding.file);
      touched.push_back(binding.file);
    }
  }
  for (const SimFileId id : touched) unlinked(id);
}

void SimDisk::unlinked(SimFileId id) {
  const auto found = state_.nodes.find(id);
  if (found == state_.nodes.end()) return;
  Node& gone = found->second;
  if (gone.opens > 0 || gone.links > 0) return;
  if (!gone.is_folder && gone.is_counted) {
    used_ -= space_of(gone);
    gone.is_counted = false;
  }
  const bool may_return = std::ranges::any_of(state_.name_changes, [&](const NameChange& change) {
    return std::ranges::any_of(change.bindings, [&](const Binding& binding) { return binding.file == id; });
  });
  if (gone.durable_links == 0 && !may_return) forget(id);
}

void SimDisk::forget(SimFileId id) {
  // What is only in this folder goes with it.
  std::vector<SimFileId> children;
  for (const auto& [name, child] : node(id).durable_names) {
    --node(child).durable_links;
    children.push_back(child);
  }
  for (NameChange& change : state_.name_changes) {
    std::erase_if(change.bindings, [&](const Binding& binding) {
      if (binding.folder == id && binding.file != 0) children.push_back(binding.file);
      return binding.folder == id;
    });
  }
  std::erase_if(state_.name_changes, [](const NameChange& change) { return change.bindings.empty(); });
  state_.nodes.erase(id);
  for (const SimFileId child : children) unlinked(child);
}

}  // namespace millrace
