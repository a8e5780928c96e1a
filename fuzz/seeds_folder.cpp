// First inputs for the target `folder`: one damage each, at a place where it matters.
#include <utility>

#include "fuzz/damage.h"
#include "fuzz/seeds.h"

namespace millrace::fuzz {
namespace {

using End = NodeMachine::End;

class FolderSeeds {
 public:
  FolderSeeds(const Seeds& seeds, End end, std::uint32_t shards)
      : seeds_(seeds), end_(end), shards_(shards), folder_(valid_folder(end, shards)) {}

  void write(const std::string& name, const std::vector<Damage>& damages) const {
    InputWriter input;
    input.put<std::uint8_t>(std::to_underlying(end_)).put<std::uint8_t>(shards_ == 1 ? 0 : 1);
    input.put<std::uint8_t>(1).put<std::uint8_t>(2).put<std::uint8_t>(3);
    for (const Damage& damage : damages) put_damage(input, folder_, damage);
    seeds_.write("folder", name, input);
  }
  // The group's, by first index.
  [[nodiscard]] std::vector<std::string> segments(GroupId group) const {
    std::vector<std::string> paths;
    for (const auto& [path, bytes] : folder_.files) {
      if (path.starts_with(DataFolder(k_folder).group_folder(group))) paths.push_back(path);
    }
    return paths;
  }
  // Of the first journal.
  [[nodiscard]] const std::vector<ValidCommit>& commits() const { return folder_.journals.front(); }
  [[nodiscard]] const ValidFolder& folder() const { return folder_; }

 private:
  const Seeds& seeds_;
  End end_;
  std::uint32_t shards_;
  const ValidFolder& folder_;
};

Damage at(DamageKind kind, const ValidCommit::Range& range) {
  return {.kind = kind, .path = range.path, .block = range.begin};
}

void seed_journals(const Seeds& seeds) {
  const FolderSeeds cut(seeds, End::power_cut, 1), killed(seeds, End::killed, 1);
  cut.write("torn_tail", {at(DamageKind::zeroed_block, cut.commits().back().bytes)});
  cut.write("torn_extent", {{.kind = DamageKind::zeroed_sector,
                             .path = cut.commits().back().extents.front().path,
                             .block = cut.commits().back().extents.front().begin}});
  const auto& commits = killed.commits();
  killed.write("acknowledged_commit_gone", {at(DamageKind::flipped, commits[commits.size() - 2].bytes)});
  killed.write("older_journal_file", {at(DamageKind::lost_file, commits.back().bytes)});
  killed.write("short_journal_file", {at(DamageKind::cut_off, commits.back().bytes)});
  const DataFolder names(k_folder);
  const auto& files = killed.folder().identity.journals.front();
  killed.write("journal_files_swapped", {{.kind = DamageKind::swapped,
                                          .path = names.journal_file(files[0]),
                                          .other = names.journal_file(files[1])}});
}

void seed_identity_slots(const Seeds& seeds) {
  const FolderSeeds folder(seeds, End::killed, 3);
  const std::string path = DataFolder(k_folder).identity();
  folder.write("identity_slot_rotten", {{.kind = DamageKind::flipped, .path = path, .byte = 70}});
  folder.write("identity_of_the_start_before", {{.kind = DamageKind::lost_file, .path = path, .value = 1}});
  folder.write("identity_removed", {{.kind = DamageKind::removed, .path = path}});
}

void seed_segment_files(const Seeds& seeds) {
  const FolderSeeds folder(seeds, End::stopped, 1);
  const auto trimmed = folder.segments(k_trimmed), small = folder.segments(k_small);
  CHECK(trimmed.size() >= 3, "{} segments", trimmed.size());
  const std::string &first = trimmed.front(), &middle = trimmed[1], &last = trimmed.back();
  folder.write("middle_segment_removed", {{.kind = DamageKind::removed, .path = middle}});
  folder.write("last_segment_removed", {{.kind = DamageKind::removed, .path = last}});
  folder.write("group_folder_removed", {{.kind = DamageKind::removed_folder, .path = first}});
  folder.write("segments_swapped", {{.kind = DamageKind::swapped, .path = small[0], .other = small[1]}});
  folder.write("segment_of_another_group",
               {{.kind = DamageKind::swapped, .path = middle, .other = small[0]}});
  folder.write("first_extent_lost",
               {{.kind = DamageKind::zeroed_block, .path = small[0], .block = k_block_size}});
  folder.write("segment_cut_off", {{.kind = DamageKind::cut_off, .path = last, .block = k_block_size}});
  folder.write("removed_segment_is_back", {{.kind = DamageKind::lost_file,
                                            .path = DataFolder(k_folder).segment(k_deleted, Index{1}),
                                            .value = 1}});
}

}  // namespace

void seed_folder(const Seeds& seeds) {
  seed_journals(seeds);
  seed_identity_slots(seeds);
  seed_segment_files(seeds);
}

}  // namespace millrace::fuzz
