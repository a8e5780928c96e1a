// LogContext: what the parts of one shard's log share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "engine/base/error.h"
#include "engine/log/ballast_state.h"
#include "engine/log/data_folder.h"
#include "engine/log/group.h"
#include "engine/log/journal_room.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/mutex.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/wait.h"

namespace millrace {

// Memory that entries hold; another shard's, where they were received by its connections.
struct HeldMemory {
  std::uint64_t bytes = 0;
  std::uint64_t foreign = 0;  // of them, in pools of other shards
  HeldMemory& operator+=(const HeldMemory& more) {
    bytes += more.bytes;
    foreign += more.foreign;
    return *this;
  }
  HeldMemory& operator-=(const HeldMemory& less) {
    bytes -= less.bytes;
    foreign -= less.foreign;
    return *this;
  }
};

struct LogContext {
  LogContext(Reactor& r, DataFolder f, const Identity& identity, std::shared_ptr<BallastState> b,
             ShardLogOptions o)
      : reactor(r),
        folder(std::move(f)),
        cluster(identity.cluster),
        node(identity.node),
        generation(identity.generation),
        journal_file_size(identity.journal_file_size),
        options(o),
        ballast(std::move(b)),
        ballast_turn(r),
        failed(r),
        space(r),
        untidy_added(r) {}

  Reactor& reactor;
  DataFolder folder;
  ClusterId cluster;
  NodeId node;
  std::uint64_t generation;  // of the identity
  std::uint64_t journal_file_size;
  ShardLogOptions options;
  LogCounters counters;
  LogLatencies latencies;
  std::unordered_map<GroupId, GroupRef> groups;

  std::shared_ptr<BallastState> ballast;  // the node's; to be made again when the disk has space

  bool stopping = false;         // appends are refused
  Mutex ballast_turn;            // who comes while it is made again waits to see what came of it
  std::optional<Error> failure;  // nothing is known of the disk any more: nothing is acknowledged
  WaitQueue failed;
  // Of all entries from their append until the cache lets them go. Up to cache_bytes of it are the cache's;
  // what is beyond waits for the disk.
  HeldMemory held;
  WaitQueue space;                          // held has fallen
  std::uint64_t producers = 0;              // that all groups remember: what a checkpoint has to hold
  std::vector<WaitQueue*> wake_on_failure;  // of parts that wait for something a failed log never does
  std::set<GroupId> deleted;                // durably so, but some of their files may still be there
  std::vector<GroupRef> untidy;             // retention looks at them before its next round
  WaitQueue untidy_added;

  // After this no append, trim or checkpoint succeeds; everybody who waits is woken to see it, and hears
  // sync_failed, whatever the reason: what is under way may have happened or not.
  void fail(Error error);
  // Hands `result` on. A failed sync is the end of the log: what it was for may be lost, and nothing can
  // tell.
  template <class T>
  [[nodiscard]] Result<T> checked(Result<T> result) {
    if (!result && result.error().code == ErrorCode::sync_failed) fail(result.error());
    return result;
  }
  // There is something for retention to do in the group.
  void tidy_soon(const GroupRef& group);
  // Why nothing more comes to the group's log: it has failed, stops, or was deleted.
  [[nodiscard]] Result<void> refusal(const Group& group) const;
  // What a checkpoint has a record of: groups, and what deleted ones may have left.
  [[nodiscard]] std::size_t checkpointed_groups() const { return groups.size() + deleted.size(); }
  // Producers that each group may remember now.
  [[nodiscard]] std::size_t producers_per_group() const {
    return producers_max(journal_file_size, checkpointed_groups());
  }
  [[nodiscard]] HeldMemory memory_of(const Buffer& buffer) const {
    return {buffer.capacity(), reactor.buffers().owns(buffer) ? 0 : buffer.capacity()};
  }
  // Of an entry, by its bytes 64..: the whole buffer where they have one of their own, which is where they
  // begin at 64. Of others it is what they will take of a commit: the pool counts the block that they stand
  // in.
  [[nodiscard]] HeldMemory memory_of(const Slice& payload) const {
    const bool own = payload.length != 0 && payload.offset == k_entry_header_size;
    return own ? memory_of(payload.buffer)
               : HeldMemory{k_entry_header_size + std::uint64_t{payload.length}, 0};
  }
  // Each shard's part of what shards may hold of another one's memory.
  [[nodiscard]] std::uint64_t foreign_part(std::uint64_t bytes) const {
    return bytes / reactor.shard_count();
  }
  // The group, or not_found.
  [[nodiscard]] Result<GroupRef> find(GroupId id) const;
};

}  // namespace millrace
