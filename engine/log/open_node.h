// Opening a data folder: identity, recovery, and the journals of a new start (docs/recovery.md has the
// decision table).
//
// What it promises when it returns: every entry that was ever acknowledged stands in a segment, synced; the
// journals of the new start hold a complete checkpoint of every group; the identity names them, synced;
// nothing on disk depends on the former number of shards. A folder that is not ours, is held by another
// process, or is damaged where acknowledged data lived is refused with file, position and what to do, and is
// left as it was.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/log/ballast_state.h"
#include "engine/log/identity.h"
#include "engine/log/positions.h"
#include "engine/log/producers.h"
#include "engine/reactor/reactor.h"

namespace millrace {

struct NodeOptions {
  std::string folder;
  std::uint32_t shards = 1;
  std::uint64_t journal_file_size = k_journal_file_size_default;
  std::uint64_t ballast_size = 16_MiB;
  // Refuse a folder of another cluster; nothing: take what is there, or make a new one.
  std::optional<ClusterId> cluster;
};

// A group as the log engine takes it over: everything up to `end` is in its segments, synced.
struct RecoveredGroup {
  GroupId id{0};
  Term term{0};
  std::optional<NodeId> voted_for;
  LogStart start;
  LogEnd end;
  SegmentEnd segment;
  std::vector<Index> segments;  // first indexes of its segment files, ascending
  ProducerTable producers;      // of the batches up to `end`
  WallTime last_created_at;     // the last of the segments, unless this start has made it
};

// Where a shard's journal of this start goes on.
struct JournalStart {
  std::vector<std::uint32_t> files;  // ids, in ring order
  std::vector<bool> unfilled;        // the same order: space is allocated, but the blocks were never written
  std::uint64_t position = 0;        // of the next commit
  Sequence next_sequence{1};
  Sequence replay_from{1};  // of the checkpoint already in it
};

struct OpenedNode {
  Identity identity;
  File lock;                                        // keep it while the process runs
  std::vector<JournalStart> journals;               // one a shard
  std::vector<std::vector<RecoveredGroup>> groups;  // by shard: shard_of(group)
  bool created = false;                             // the folder was made by this call
  bool clean = false;                               // the last stop was a clean one
  std::shared_ptr<BallastState> ballast;            // for all shards
  std::vector<std::string> notes;                   // what recovery did, a line each ("cut 2 commits ...")
};

[[nodiscard]] constexpr ShardId shard_of(GroupId group, std::uint32_t shards) {
  return ShardId{static_cast<std::uint32_t>(group.value() % shards)};
}

// Whether open_node() would take the folder, as far as can be told without touching it: one that is new,
// empty or ours. Errors: wrong_folder, unsupported_version, corruption (of the identity), io_error,
// permission_denied.
Task<Result<void>> check_folder(Reactor& reactor, std::string folder);

// Errors: folder_in_use, wrong_folder, unsupported_version, corruption, disk_full, io_error,
// permission_denied.
Task<Result<OpenedNode>> open_node(Reactor& reactor, NodeOptions options);

}  // namespace millrace
