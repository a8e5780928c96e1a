#include "engine/log/recovery_table.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

namespace millrace {
namespace {

std::vector<RecoveryCase> every_case() {
  std::vector<RecoveryCase> cases;
  for (const auto bytes : {CommitBytes::whole, CommitBytes::missing}) {
    for (const auto extents : {CommitExtents::whole, CommitExtents::torn}) {
      for (const auto called : {CalledComplete::no, CalledComplete::yes}) {
        for (const auto later : {LaterCommits::none, LaterCommits::some})
          cases.push_back({bytes, extents, called, later});
      }
    }
  }
  return cases;
}

TEST(RecoveryTable, EveryCaseMatchesExactlyOneRow) {
  for (const RecoveryCase& asked : every_case()) {
    const auto rows = recovery_rows();
    EXPECT_EQ(std::ranges::count_if(rows, [&](const RecoveryRow& row) { return row.matches(asked); }), 1);
  }
}

TEST(RecoveryTable, EveryRowIsReached) {
  std::set<std::string> reached;
  for (const RecoveryCase& asked : every_case()) reached.insert(decide(asked).label);
  EXPECT_EQ(reached.size(), recovery_rows().size());
}

TEST(RecoveryTable, WhatIsCalledCompleteIsNeverCut) {
  for (RecoveryCase asked : every_case()) {
    if (asked.called == CalledComplete::no) continue;
    const RecoveryVerdict verdict = decide(asked).verdict;
    EXPECT_EQ(verdict,
              asked.bytes == CommitBytes::whole ? RecoveryVerdict::keep : RecoveryVerdict::corruption);
  }
}

TEST(RecoveryTable, WhatNobodyCallsCompleteIsNeverCorruption) {
  for (RecoveryCase asked : every_case()) {
    if (asked.called == CalledComplete::no) EXPECT_NE(decide(asked).verdict, RecoveryVerdict::corruption);
  }
}

TEST(RecoveryTable, OnlyAWholeCommitWithWholeExtentsIsKeptOnItsOwnWord) {
  for (RecoveryCase asked : every_case()) {
    if (asked.called == CalledComplete::yes) continue;
    const bool whole = asked.bytes == CommitBytes::whole && asked.extents == CommitExtents::whole;
    EXPECT_EQ(decide(asked).verdict == RecoveryVerdict::keep, whole);
  }
}

TEST(RecoveryTable, ATornLastWriteWithNothingBehindItEndsTheJournal) {
  EXPECT_EQ(
      decide({CommitBytes::missing, CommitExtents::whole, CalledComplete::no, LaterCommits::none}).verdict,
      RecoveryVerdict::end);
}

}  // namespace
}  // namespace millrace
