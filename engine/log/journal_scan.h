// Reading one journal whole: every commit of the wanted start that stands where it says it stands, and whose
// bytes are what it says.
//
// A file of the ring holds commits of several laps and, once reused, of earlier starts. A commit counts only
// if start id, journal number and position are those of the place where it was found; what it means that one
// is missing is for recovery_table.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/log/data_folder.h"
#include "engine/log/identity.h"
#include "engine/log/journal_format.h"
#include "engine/reactor/reactor.h"

namespace millrace {

// Where a commit stands on disk.
struct CommitPlaceOnDisk {
  std::uint32_t file = 0;    // id
  std::uint64_t offset = 0;  // in it
};

struct ScannedCommit {
  CommitHeader header;
  CommitPlaceOnDisk place;
  std::vector<std::byte> body;
};

struct JournalScan {
  std::vector<ScannedCommit> commits;  // whole ones, by sequence
  std::vector<ScannedCommit> damaged;  // whole header, other bytes behind it; no body, any order
  // The commit with this sequence, or nothing.
  [[nodiscard]] const ScannedCommit* find(Sequence sequence) const;
  // The last sequence that any whole commit calls complete; 0 if there is none.
  [[nodiscard]] Sequence called_complete() const;
};

struct JournalFiles {
  DataFolder folder;
  std::uint32_t number = 0;
  std::uint64_t start_id = 0;
  std::uint64_t file_size = 0;
  std::vector<std::uint32_t> files;  // ids, in ring order
};
// Journal `number` of what an identity names.
[[nodiscard]] JournalFiles journal_files(const DataFolder& folder, const Identity& identity,
                                         std::uint32_t number);

// Reads every file of the journal. In memory: the bodies of the commits found, and one file. corruption: a
// file is missing or too short, or two commits have one sequence.
Task<Result<JournalScan>> scan_journal(Reactor& reactor, JournalFiles journal);

// Reads a commit's body again, for when it was given up to save memory. corruption if it is another one now.
Task<Result<std::vector<std::byte>>> read_commit_body(Reactor& reactor, const JournalFiles& journal,
                                                      ScannedCommit commit);

// The same reading without a wanted start: every commit in one file, of whatever start and journal, damaged
// ones marked. For dumps.
struct CommitInFile {
  ScannedCommit commit;
  bool is_whole = false;
};
Task<Result<std::vector<CommitInFile>>> list_commits(Reactor& reactor, std::string path,
                                                     std::uint32_t file_id);

}  // namespace millrace
