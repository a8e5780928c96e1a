// The steps of open_node(), in the order in which they run. Internal: open_node.h is the manual.
//
// reads only:
//   check_identity       no later start has gone on than the one that the identity tells of
//   read_journal         one journal after the other: scan, decide by table, fold
//   check_groups         each group's folder against what was folded
// then:
//   sync_what_was_read   what the rest stands on becomes durable
//   settle_groups        leftovers go, entries that stand in the journal alone get a segment; synced
//   start_journals       new journal files with a complete checkpoint; synced
//   write_identity       from here on the new journals count; synced
//   tidy_journals        what no identity names any more goes; each journal has a spare
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/log/data_folder.h"
#include "engine/log/open_node.h"
#include "engine/log/recovery_fold.h"
#include "engine/reactor/reactor.h"

namespace millrace {

struct OpenContext {
  Reactor& reactor;
  NodeOptions options;
  DataFolder folder;
  Identity identity;  // the one in force
  std::vector<std::string> notes;
  std::shared_ptr<BallastState> ballast = std::make_shared<BallastState>();
};
// For reading alone: the folder, whatever cluster it belongs to.
[[nodiscard]] inline NodeOptions options_of(const std::string& folder) {
  NodeOptions options;
  options.folder = folder;
  return options;
}

// Runs step(0) ... step(count - 1), up to 16 at a time, and returns the first error once all that were begun
// have ended.
Task<Result<void>> for_each_concurrently(Reactor& reactor, std::size_t count,
                                         std::function<Task<Result<void>>(std::size_t)> step);
// Does nothing where there is no such file.
Task<Result<void>> remove_if_there(Reactor& reactor, std::string path);
// Allocates, giving up the ballast where the disk is full.
Task<Result<void>> allocate_file(OpenContext& context, File file, std::uint64_t length);

// ---- journals that are in force (open_node_journals.cpp)
// --------------------------------------------------------------
struct ReadJournal {
  JournalFiles files;
  FoldedJournal folded;
  std::vector<ScannedCommit> needed;  // with entries that stand in the journal alone; without bodies
  bool cut = false;                   // a torn tail was left out
};
Task<Result<ReadJournal>> read_journal(OpenContext& context, std::uint32_t number);
// corruption where a journal file, in force or not, holds what a later start acknowledged: then the identity
// is an older one that has come back, and what it names is not the log any more.
Task<Result<void>> check_identity(OpenContext& context);
// What stands in the file stays there. A sync alone does not do where the bytes may have come from the page
// cache: after a failed sync the kernel takes its pages for clean, and the sync of a later process succeeds
// without having written them. So a buffered file is written again first.
Task<Result<void>> make_durable(Reactor& reactor, std::string path);
// The identity, the journals, and the names in the data folder's own folders.
Task<Result<void>> sync_what_was_read(OpenContext& context);

// ---- groups (open_node_groups.cpp)
// -------------------------------------------------------------------------------------- What stands in a
// group's folder.
struct GroupFiles {
  std::vector<Index> segments;         // ascending: up to the end of what is placed
  std::vector<Index> beyond;           // ascending: begin behind it
  std::vector<std::string> leftovers;  // names of segments that were never finished
  WallTime last_created_at;            // the last of `segments`
};
// corruption where something of the group is missing or contradicts.
Task<Result<GroupFiles>> check_group(OpenContext& context, const FoldedGroup& group);
// Bodies of commits, by sequence.
using CommitBodies = std::map<Sequence, std::vector<std::byte>>;
Task<Result<RecoveredGroup>> settle_group(OpenContext& context, const FoldedGroup& group, GroupFiles files,
                                          const CommitBodies& bodies, bool clean);
// Removes folders of deleted groups, and notes those that nobody knows.
Task<Result<void>> tidy_group_folders(OpenContext& context, const std::vector<ReadJournal>& journals);

// ---- journals of this start (open_node_start.cpp)
// ------------------------------------------------------------------------
struct StartedJournals {
  Identity identity;
  std::vector<JournalStart> journals;
};
// Makes the journals of a new start, with a checkpoint of the groups, by shard. Nothing that the identity in
// force names is touched.
Task<Result<StartedJournals>> start_journals(OpenContext& context,
                                             const std::vector<std::vector<RecoveredGroup>>& groups);
// Writes the identity into both slots, one after the other: first the one that does not count.
Task<Result<void>> write_identity(OpenContext& context, const Identity& identity);
// The same for a folder that has none: complete under its name, or not there.
Task<Result<void>> create_identity(OpenContext& context, const Identity& identity);
// Removes files that no identity names, but for a spare for each journal, and makes spares that are missing;
// a full disk is a note.
Task<Result<void>> tidy_journals(OpenContext& context, const Identity& identity);

// ---- new folders (open_node_create.cpp)
// -----------------------------------------------------------------------------------
enum class FolderState : std::uint8_t { missing, unfinished, ours };
// The identity in force. wrong_folder, also where there is none or options name another cluster;
// unsupported_version, corruption.
Task<Result<Identity>> read_identity(OpenContext& context);
// Takes the folder's lock, or says folder_in_use in words that help.
Task<Result<File>> take_lock(OpenContext& context);
// Looks without touching anything. wrong_folder, with a name that stands there, for a folder of somebody
// else's.
Task<Result<FolderState>> look_at_folder(OpenContext& context);
// Makes the folder itself, with its parents; then what stands in it, up to the identity.
Task<Result<void>> create_root(OpenContext& context);
Task<Result<void>> create_folders(OpenContext& context);
// Makes the ballast, or makes it again; a full disk is a note.
Task<Result<void>> make_ballast(OpenContext& context);

}  // namespace millrace
