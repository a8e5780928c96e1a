// Folding: what the commits of one journal, in order, say about each group.
//
// The rules, by kind of record:
// - group state: a true statement. Everything up to its end stands in segments, synced. Term, vote and log
// start are its own; its end counts
//   where it is beyond what is known. What older commits hold beyond its end counts still.
// - cut: a true statement too, and the log ends there; what older commits hold beyond it is gone.
// - extent: moves the end of what is placed on; it must begin where the last one stopped. One that ends
// before is old news.
// - entry: kept until it is placed; a trim entry also moves the log start on.
// - vote: term and vote. group removed: forget the group.
// - producers: of batches in entries, and of producer records, which tell of batches that the journal does
// not hold.
//   Both only add; what they say of batches behind the log's end is dropped when that is known.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/log/journal_format.h"
#include "engine/log/journal_scan.h"
#include "engine/log/positions.h"

namespace millrace {

// An entry that stands in the journal alone.
struct FoldedEntry {
  Index index{0};
  Sequence commit{0};
  std::uint32_t offset = 0;  // in the commit's body
  std::uint32_t size = 0;    // without padding
};

struct FoldedGroup {
  GroupId id{0};
  Term term{0};
  std::optional<NodeId> voted_for;
  LogStart start;
  LogEnd placed;                    // in segments
  SegmentEnd segment;               // where that ends
  LogEnd end;                       // after `entries`
  std::deque<FoldedEntry> entries;  // beyond `placed`, without a hole, chained
  std::set<Index> extended;         // segments that extents were added to since the last state
  ProducerTable producers;          // as of `end`
};

struct FoldedJournal {
  std::map<GroupId, FoldedGroup> groups;
  std::set<GroupId> removed;
  bool clean = false;  // a clean stop's checkpoint is the last thing that is said
};

class JournalFold {
 public:
  // Commits in order of sequence, from the checkpoint's replay_from on. corruption: a body that does not
  // parse, an extent that does not go on where the last one stopped, an entry that is none. The message says
  // what; the caller knows where.
  [[nodiscard]] Result<void> add(const ScannedCommit& commit);
  // After the last commit: checks that every group's entries go on where its segments end. Bodies are read
  // again for it.
  [[nodiscard]] Result<FoldedJournal> finish(const JournalScan& scan);

 private:
  struct Group {
    FoldedGroup folded;
    bool has_state = false;           // term, vote and start are known
    bool has_placed = false;          // a state or a cut has said where the segments end
    std::vector<ExtentRecord> early;  // described before that was known
    std::vector<std::pair<Index, LogStart>> trims;
  };
  [[nodiscard]] Result<void> add(GroupId id, const EntryRecord& record, const ScannedCommit& commit);
  [[nodiscard]] Result<void> add(Group& group, const ExtentRecord& record);
  [[nodiscard]] Result<void> add(Group& group, const GroupStateRecord& record);
  void add(Group& group, const CutRecord& record);
  [[nodiscard]] Result<void> finish(Group& group, const JournalScan& scan) const;
  [[nodiscard]] Group& group(GroupId id);

  std::map<GroupId, Group> groups_;
  std::set<GroupId> removed_;
  bool clean_ = false;
};

}  // namespace millrace
