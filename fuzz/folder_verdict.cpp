#include "fuzz/folder_verdict.h"

#include <algorithm>
#include <ranges>

#include "engine/base/check.h"
#include "engine/log/format_bytes.h"

namespace millrace::fuzz {
namespace {

class Judge {
 public:
  Judge(const ValidFolder& folder, const DamagedFolder& damaged)
      : folder_(folder), damaged_(damaged), names_(k_folder) {}

  Verdict decide() {
    verdict_.must_open = is_as_a_start_needs_it();
    if (!has_identity()) verdict_.loss = "no slot of the identity is the one in force";
    for (std::uint32_t number = 0; number < folder_.journals.size() && !verdict_.loss; ++number) {
      for (const std::uint32_t id : folder_.identity.journals[number]) {
        const std::string* bytes = damaged_.find(names_.journal_file(id));
        if (bytes == nullptr || bytes->size() < folder_.identity.journal_file_size)
          verdict_.loss = names_.journal_file(id) + " is missing or short";
      }
      verdict_.journals.push_back(decide(folder_.journals[number]));
    }
    if (verdict_.loss) verdict_.must_open = false;
    if (verdict_.must_open) verdict_.must_open = no_group_comes_or_goes();
    return std::move(verdict_);
  }

 private:
  [[nodiscard]] bool has_identity() const {
    const std::string path = names_.identity();
    return damaged_.is_whole({path, 0, k_block_size}) ||
           damaged_.is_whole({path, k_block_size, k_identity_file_size});
  }

  // The names, and the headers of segments; spare journal files, ballast and lock are made again.
  [[nodiscard]] bool is_as_a_start_needs_it() const {
    const auto is_in_force = [&](const std::string& path) {
      return std::ranges::any_of(folder_.identity.journals, [&](const auto& journal) {
        return std::ranges::any_of(journal, [&](auto id) { return names_.journal_file(id) == path; });
      });
    };
    return std::ranges::all_of(damaged_.damaged(), [&](const std::string& path) {
      const bool was = folder_.files.contains(path), is = damaged_.find(path) != nullptr;
      if (path == names_.lock() || path == names_.ballast()) return true;
      if (path.ends_with(".journal") && !is_in_force(path)) return true;
      if (path.ends_with(".segment")) return was && is && damaged_.is_whole({path, 0, k_block_size});
      return was && is;
    });
  }
  // Where the tail that is cut made or deleted a group, its folder may be gone.
  [[nodiscard]] bool no_group_comes_or_goes() const {
    return std::ranges::all_of(folder_.groups, [&](const auto& group) {
      const auto& [id, history] = group;
      const JournalVerdict& journal = verdict_.journals[shard_of(id, folder_.shards).value()];
      return std::ranges::all_of(history.moments, [&](const Moment& moment) {
        return moment.sequence < journal.least ||
               moment.state.has_value() == history.moments.back().state.has_value();
      });
    });
  }

  JournalVerdict decide(const std::vector<ValidCommit>& commits) {
    Sequence called{0};
    for (const ValidCommit& commit : commits) {
      if (damaged_.is_whole(commit.bytes)) called = std::max(called, commit.complete_through);
    }
    // The newest checkpoint that lies within what is kept.
    for (const ValidCommit& checkpoint : std::views::reverse(commits)) {
      if (!checkpoint.replay_from || !damaged_.is_whole(checkpoint.bytes)) continue;
      const auto journal = prefix(commits, *checkpoint.replay_from, called);
      if (!journal) break;
      if (journal->most < checkpoint.sequence) {
        // Files that the older one needs may have gone since.
        verdict_.must_open = false;
        continue;
      }
      if (journal->least < checkpoint.sequence) verdict_.must_open = false;
      return *journal;
    }
    if (!verdict_.loss) verdict_.loss = "no whole checkpoint";
    return {};
  }

  // Nothing where a damaged commit is called complete.
  std::optional<JournalVerdict> prefix(const std::vector<ValidCommit>& commits, Sequence from,
                                       Sequence called) {
    std::optional<Sequence> least;
    Sequence most{0};
    for (const ValidCommit& commit : commits) {
      if (commit.sequence < from) continue;
      if (!damaged_.is_whole(commit.bytes)) {
        if (commit.sequence > called) break;
        verdict_.loss = fmt::format("commit {} at {} of {}", commit.sequence.value(), commit.bytes.begin,
                                    commit.bytes.path);
        return std::nullopt;
      }
      const bool extents_are_whole =
          std::ranges::all_of(commit.extents, [&](const auto& extent) { return damaged_.is_whole(extent); });
      if (commit.sequence > called && !extents_are_whole && !least) least = commit.sequence - 1;
      most = commit.sequence;
    }
    return JournalVerdict{least.value_or(most), most};
  }

  const ValidFolder& folder_;
  const DamagedFolder& damaged_;
  DataFolder names_;
  Verdict verdict_;
};

bool lies_between(const GroupState& state, const GroupState& before, const GroupState& after) {
  return state.start >= before.start && state.start <= after.start && state.end >= before.end &&
         state.end <= after.end;
}

}  // namespace

Verdict decide(const ValidFolder& folder, const DamagedFolder& damaged) {
  return Judge(folder, damaged).decide();
}

bool may_be(const GroupHistory& history, const JournalVerdict& journal,
            const std::optional<GroupState>& state) {
  const auto& moments = history.moments;
  for (std::size_t i = 0; i < moments.size(); ++i) {
    // How it stood from this moment to the next one; the steps between took several commits.
    const bool is_last = i + 1 == moments.size();
    if (moments[i].sequence > journal.most) break;
    if (!is_last && moments[i + 1].sequence <= journal.least) continue;
    if (state == moments[i].state) return true;
    if (is_last || journal.most == moments[i].sequence) continue;
    const auto& before = moments[i].state;
    const auto& after = moments[i + 1].state;
    if (state == after || (state && before && after && lies_between(*state, *before, *after))) return true;
  }
  return false;
}

}  // namespace millrace::fuzz
