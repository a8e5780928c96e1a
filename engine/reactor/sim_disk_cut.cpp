// What a power cut leaves.
#include <set>
#include <utility>

#include "engine/base/check.h"
#include "engine/reactor/sim_disk.h"

namespace millrace {
void SimDisk::power_cut(SimRandom& random, SimCut cut) {
  // One cut in eight drops everything and one keeps everything, so that the extremes are met in few seeds.
  if (cut == SimCut::by_seed) {
    const std::uint64_t draw = random.below(8);
    if (draw == 0) cut = SimCut::drop_all;
    if (draw == 1) cut = SimCut::keep_all;
  }
  for (auto& [id, node] : state_.nodes) {
    if (!node.is_folder) cut_file(node, random, cut);
  }
  cut_names(random, cut);
  remount();
}

void SimDisk::cut_file(Node& node, SimRandom& random, SimCut cut) {
  // The size is a thing of its own: it may survive without the bytes (zeros then) or they without it (cut off
  // then).
  std::uint64_t size = node.durable.size();
  for (const Change& change : std::exchange(node.changes, {})) {
    enum Fate : std::uint8_t { lost, kept, torn, size_only };
    const Fate fate = cut == SimCut::drop_all   ? lost
                      : cut == SimCut::keep_all ? kept
                                                : static_cast<Fate>(random.below(4));
    if (fate == kept) apply(change, node);
    if (change.kind == Kind::shrink) {
      if (fate == kept) size = std::min(size, change.begin);
      continue;
    }
    if (fate == torn && change.kind == Kind::bytes) {
      for (std::uint64_t begin = change.begin; begin < change.end;) {
        const std::uint64_t end = std::min((begin / k_sector_size + 1) * k_sector_size, change.end);
        if (random.coin()) node.durable.copy_range(change.bytes, begin, end);
        begin = end;
      }
    }
    if (fate == kept || fate == size_only || (fate == torn && random.coin()))
      size = std::max(size, change.end);
  }
  node.durable.resize(size);
  node.content = node.durable;
}

void SimDisk::cut_names(SimRandom& random, SimCut cut) {
  // A name keeps the order of its changes: once one is lost, those after it are too.
  auto& changes = state_.name_changes;
  std::vector<bool> chosen(changes.size());
  std::set<std::pair<SimFileId, std::string>> stopped;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    chosen[i] = cut == SimCut::keep_all || (cut == SimCut::by_seed && random.coin());
    for (const Binding& binding : changes[i].bindings) {
      if (stopped.contains({binding.folder, binding.name})) chosen[i] = false;
    }
    if (chosen[i]) continue;
    for (const Binding& binding : changes[i].bindings) stopped.emplace(binding.folder, binding.name);
  }
  make_names_durable(chosen);
  changes.clear();
}

// Begins anew from what is durable: names, links and space, and nothing open.
void SimDisk::remount() {
  std::map<SimFileId, Node> reached;
  std::vector<SimFileId> to_visit{k_root};
  while (!to_visit.empty()) {
    const SimFileId id = to_visit.back();
    to_visit.pop_back();
    const auto found = state_.nodes.find(id);
    if (found == state_.nodes.end()) continue;  // a second name of a file that is there already
    Node& node = reached[id] = std::move(found->second);
    state_.nodes.erase(found);
    node.names = node.durable_names;
    node.opens = 0;
    node.is_counted = true;
    for (const auto& [name, child] : node.names) to_visit.push_back(child);
  }
  state_.nodes = std::move(reached);
  recount();
}

void SimDisk::recount() {
  used_ = 0;
  for (auto& [id, node] : state_.nodes) node.links = node.durable_links = id == k_root ? 1 : 0;
  for (const auto& [id, folder] : state_.nodes) {
    for (const auto& [name, child] : folder.names) ++node(child).links;
    for (const auto& [name, child] : folder.durable_names) ++node(child).durable_links;
  }
  for (auto& [id, node] : state_.nodes) {
    node.is_counted = !node.is_folder && node.links > 0;
    if (node.is_counted) used_ += space_of(node);
  }
}

// ---- copies of a disk -------------------------------------------------------

SimDisk::Image SimDisk::image() const {
  Image copy;
  copy.state_ = state_;
  return copy;
}

void SimDisk::restore(const Image& image) {
  for (const auto& [id, node] : state_.nodes) CHECK(node.opens == 0, "file {} is open", id);
  state_ = image.state_;
  for (auto& [id, node] : state_.nodes) node.opens = 0;
  recount();
}

}  // namespace millrace
