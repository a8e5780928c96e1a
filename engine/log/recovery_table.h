// What a start does with each commit of a journal, as a table (docs/recovery.md explains every row).
//
// Asked for one sequence after the other, from the first that the checkpoint still needs; the first row that
// does not say `keep` ends the journal.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace millrace {

enum class CommitBytes : std::uint8_t {
  whole,
  missing
};  // header and body as they were written; anything else
enum class CommitExtents : std::uint8_t {
  whole,
  torn
};  // all that it describes; read only where nobody calls it complete
enum class CalledComplete : std::uint8_t { no, yes };   // by a later whole commit
enum class LaterCommits : std::uint8_t { none, some };  // whole ones behind it

struct RecoveryCase {
  CommitBytes bytes{};
  CommitExtents extents = CommitExtents::whole;
  CalledComplete called = CalledComplete::no;
  LaterCommits later = LaterCommits::none;
};

enum class RecoveryVerdict : std::uint8_t {
  keep,        // part of the log; go on with the next
  end,         // the journal ends before it, nothing is lost
  cut,         // a torn tail: it and everything behind it go, whole commits included; none was acknowledged
  corruption,  // acknowledged bytes are gone: refuse to start
};

struct RecoveryRow {
  const char* label;
  // What the row asks for; nothing: it does not matter.
  std::optional<CommitBytes> bytes;
  std::optional<CommitExtents> extents;
  std::optional<CalledComplete> called;
  std::optional<LaterCommits> later;
  RecoveryVerdict verdict;
  [[nodiscard]] bool matches(const RecoveryCase& asked) const;
};

// Every case matches exactly one row.
[[nodiscard]] std::span<const RecoveryRow> recovery_rows();
[[nodiscard]] const RecoveryRow& decide(const RecoveryCase& asked);

}  // namespace millrace
