#include "fuzz/damage.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/log/format_bytes.h"

namespace millrace::fuzz {
namespace {

std::string_view part(std::string_view bytes, std::uint64_t begin, std::uint64_t end) {
  begin = std::min<std::uint64_t>(begin, bytes.size());
  return bytes.substr(begin, std::max(begin, end) - begin);
}
const std::string* find_in(const Files& files, const std::string& path) {
  const auto file = files.find(path);
  return file == files.end() ? nullptr : &file->second;
}
std::string_view bytes_in(const Files& files, const std::string& path) {
  const std::string* bytes = find_in(files, path);
  return bytes == nullptr ? std::string_view{} : std::string_view(*bytes);
}

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// What inputs count: files, and of each the blocks that hold something.
struct Targets {
  std::vector<std::string> paths;
  std::map<std::string, std::vector<std::uint64_t>> blocks;
};

std::vector<std::uint64_t> used_blocks(std::string_view bytes) {
  static const std::string zeros(k_block_size, '\0');
  std::vector<std::uint64_t> blocks;
  for (std::uint64_t at = 0; at < bytes.size(); at += k_block_size) {
    const std::string_view block = part(bytes, at, at + k_block_size);
    if (block != std::string_view(zeros).substr(0, block.size())) blocks.push_back(at);
  }
  if (blocks.empty()) blocks.push_back(0);
  return blocks;
}

const Targets& targets_of(const ValidFolder& folder) {
  static std::map<const ValidFolder*, Targets> known;
  const auto [entry, is_new] = known.try_emplace(&folder);
  Targets& targets = entry->second;
  if (!is_new) return targets;
  std::set<std::string> paths;
  for (const Files* files : {&folder.files, &folder.last_start, &folder.earlier}) {
    for (const auto& [path, bytes] : *files) paths.insert(path);
  }
  for (const std::string& path : paths) targets.blocks[path] = used_blocks(bytes_in(folder.files, path));
  targets.paths.assign(paths.begin(), paths.end());
  return targets;
}

}  // namespace

class DamagedFolder::Damager {
 public:
  explicit Damager(DamagedFolder& folder)
      : folder_(folder), valid_(folder.valid_), targets_(targets_of(valid_)) {}

  void take(Input& input) {
    damage_.kind = static_cast<DamageKind>(input.take<std::uint8_t>() % k_damage_kinds);
    damage_.path = take_path(input);
    damage_.block = take_block(input, damage_.path);
    damage_.byte = input.take<std::uint16_t>() % k_block_size;
    damage_.value = input.take<std::uint8_t>();
    damage_.other = take_path(input);
    damage_.other_block = take_block(input, damage_.other);
    make();
  }

 private:
  static constexpr std::uint64_t k_sector = 512;

  const std::string& take_path(Input& input) {
    return targets_.paths[input.take<std::uint8_t>() % targets_.paths.size()];
  }
  std::uint64_t take_block(Input& input, const std::string& path) {
    const auto& blocks = targets_.blocks.at(path);
    return blocks[input.take<std::uint16_t>() % blocks.size()];
  }
  [[nodiscard]] std::uint64_t position() const { return damage_.block + damage_.byte; }
  [[nodiscard]] const Files& older() const {
    return damage_.value % 2 != 0 ? valid_.last_start : valid_.earlier;
  }

  // The file's bytes, to be changed; nothing if there is no file.
  std::string* mine() {
    const std::string* bytes = folder_.find(damage_.path);
    if (bytes == nullptr) return nullptr;
    std::optional<std::string>& changed = folder_.changed_[damage_.path];
    if (!changed) changed = *bytes;
    return &*changed;
  }
  void put(const std::string& path, const std::string* bytes) {
    auto copy = bytes == nullptr ? std::nullopt : std::optional(*bytes);
    folder_.changed_[path] = std::move(copy);
  }
  // Overwrites what there is of [at, at + length); zeros where `bytes` have ended.
  void overwrite(std::uint64_t at, std::uint64_t length, std::string_view bytes) {
    std::string* file = mine();
    if (file == nullptr || at >= file->size()) return;
    length = std::min<std::uint64_t>(length, file->size() - at);
    std::string written(bytes.substr(0, length));
    written.resize(length);
    file->replace(at, length, written);
  }
  void lose(std::uint64_t at, std::uint64_t length) {
    overwrite(at, length, part(bytes_in(older(), damage_.path), at, at + length));
  }
  void flip() {
    std::string* file = mine();
    if (file != nullptr && position() < file->size())
      (*file)[position()] = static_cast<char>((*file)[position()] ^ (damage_.value == 0 ? 1 : damage_.value));
  }
  void cut_off() {
    std::string* file = mine();
    if (file != nullptr && position() < file->size()) file->resize(position());
  }
  void extend() {
    std::string* file = mine();
    if (file != nullptr) file->resize(file->size() + (1U + damage_.value) * std::uint64_t{k_block_size});
  }
  void remove_folder() {
    const std::string folder = folder_of(damage_.path);
    if (folder == k_folder) return;
    for (const std::string& path : targets_.paths) {
      if (folder_of(path) == folder) put(path, nullptr);
    }
    folder_.removed_folders_.insert(folder);
  }
  void move(const std::string* instead) {
    const std::string* bytes = folder_.find(damage_.path);
    if (bytes == nullptr || damage_.path == damage_.other) return;
    const std::string moved = *bytes;
    put(damage_.path, instead);
    put(damage_.other, &moved);
  }

  void make() {
    const std::uint64_t block = damage_.block, sector = position() / k_sector * k_sector;
    switch (damage_.kind) {
      case DamageKind::flipped:
        return flip();
      case DamageKind::zeroed_sector:
        return overwrite(sector, k_sector, {});
      case DamageKind::zeroed_block:
        return overwrite(block, k_block_size, {});
      case DamageKind::lost_sector:
        return lose(sector, k_sector);
      case DamageKind::lost_block:
        return lose(block, k_block_size);
      case DamageKind::lost_file:
        return put(damage_.path, find_in(older(), damage_.path));
      case DamageKind::misdirected:
        return overwrite(block, k_block_size,
                         part(bytes_in(valid_.files, damage_.other), damage_.other_block,
                              damage_.other_block + k_block_size));
      case DamageKind::cut_off:
        return cut_off();
      case DamageKind::extended:
        return extend();
      case DamageKind::removed:
        return put(damage_.path, nullptr);
      case DamageKind::removed_folder:
        return remove_folder();
      case DamageKind::swapped:
        return move(folder_.find(damage_.other));
      case DamageKind::moved:
        return move(nullptr);
    }
  }

  DamagedFolder& folder_;
  const ValidFolder& valid_;
  const Targets& targets_;
  Damage damage_;
};

void put_damage(InputWriter& into, const ValidFolder& folder, const Damage& damage) {
  const Targets& targets = targets_of(folder);
  const auto number = [](const auto& all, const auto& wanted) {
    const auto at = std::ranges::find(all, wanted);
    CHECK(at != all.end(), "{} cannot be damaged", wanted);
    return at - all.begin();
  };
  const auto put_place = [&](const std::string& path, std::uint64_t block, bool with_byte) {
    const std::string& named = path.empty() ? targets.paths.front() : path;
    const auto& blocks = targets.blocks.at(named);
    into.put<std::uint8_t>(static_cast<std::uint8_t>(number(targets.paths, named)));
    into.put<std::uint16_t>(static_cast<std::uint16_t>(path.empty() ? 0 : number(blocks, block)));
    if (with_byte) into.put<std::uint16_t>(damage.byte).put<std::uint8_t>(damage.value);
  };
  into.put<std::uint8_t>(static_cast<std::uint8_t>(damage.kind));
  put_place(damage.path, damage.block, true);
  put_place(damage.other, damage.other_block, false);
}

DamagedFolder::DamagedFolder(const ValidFolder& valid, Input& input) : valid_(valid) {
  Damager damager(*this);
  for (std::size_t i = 0; i < k_damages_max && !input.empty(); ++i) damager.take(input);
  for (const auto& [path, bytes] : changed_) {
    const std::string* before = find_in(valid.files, path);
    const bool is_same = bytes ? before != nullptr && *before == *bytes : before == nullptr;
    if (!is_same) damaged_.insert(path);
    if (bytes) removed_folders_.erase(folder_of(path));  // it has come back
  }
}

const std::string* DamagedFolder::find(const std::string& path) const {
  const auto changed = changed_.find(path);
  if (changed == changed_.end()) return find_in(valid_.files, path);
  return changed->second ? &*changed->second : nullptr;
}

bool DamagedFolder::is_whole(const ValidCommit::Range& range) const {
  if (!damaged_.contains(range.path)) return true;
  const std::string* bytes = find(range.path);
  return bytes != nullptr && part(*bytes, range.begin, range.end) ==
                                 part(bytes_in(valid_.files, range.path), range.begin, range.end);
}

void DamagedFolder::restore(SimDisk& disk) const {
  disk.restore(valid_.image);
  for (const std::string& path : damaged_) {
    if (const std::string* bytes = find(path)) {
      disk.write_file(path, *bytes);
    } else {
      CHECK(disk.remove_file(path));
    }
  }
  for (const std::string& path : removed_folders_) (void)disk.remove_folder(path);
}

}  // namespace millrace::fuzz
