// Verifying a data folder: everything that is stored is read, and nothing is written.
//
// What a start would read is decided by the same tables and rules; beyond that every entry of every segment
// is read, with its checksums, the chain and the offsets within and across segments, and every footer is
// compared with what it tells of. Damage is a finding; what the next start puts in order by itself (a torn
// tail, a leftover, a footer to be made) is a note.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/reactor/reactor.h"

namespace millrace {

struct Finding {
  std::string file;            // or folder
  std::uint64_t position = 0;  // in it
  std::string meaning;
};

struct VerifyReport {
  std::vector<Finding> findings;
  std::vector<std::string> notes;
  std::uint64_t journals = 0;
  std::uint64_t commits = 0;  // whole ones of the last start
  std::uint64_t journal_records = 0;
  std::uint64_t groups = 0;
  std::uint64_t segments = 0;
  std::uint64_t footers = 0;
  std::uint64_t entries = 0;          // in segments
  std::uint64_t entry_bytes = 0;      // of them, headers included
  std::uint64_t journal_entries = 0;  // in the journal alone
  [[nodiscard]] bool is_whole() const { return findings.empty(); }
};

// Errors are about the reading itself: folder_in_use (stop the server first), wrong_folder,
// unsupported_version, io_error. What is wrong with the stored bytes is in the report. Holds the folder's
// lock meanwhile, also where nothing may be written; a folder that has no lock file is a copy, and free.
Task<Result<VerifyReport>> verify_folder(Reactor& reactor, std::string folder);

}  // namespace millrace
