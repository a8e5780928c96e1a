// ShardLog: the logs of all groups of one shard, over one journal.
//
//   append -> (admission) -> in memory, index and offset assigned -> in a commit -> durable -> in a segment
//   -> sealed -> trimmed
//                                   |                                  |
//                       acknowledgement `leader`          acknowledgement `durable`; readers may see it
//
// The promise: an entry that append() called durable is there after any crash, same bytes, same place, unless
// trimmed; and no reader ever sees an entry that a crash could still take away. DESIGN.md sections 4 and 5
// say how; docs/architecture.md follows one append.
//
// All of it belongs to one reactor's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/histogram.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/base/time.h"
#include "engine/log/data_folder.h"
#include "engine/log/open_node.h"
#include "engine/log/positions.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace millrace {

// What an append waits for before it answers.
enum class AckLevel : std::uint8_t { none = 0, leader = 1, durable = 2 };

// Settings of one group's log; 0 means without limit.
struct LogSettings {
  std::uint64_t segment_size = k_segment_size_default;
  Duration segment_age{0};            // seal an open segment that is older
  std::uint64_t retention_bytes = 0;  // of sealed and open segments together
  Duration retention_age{0};          // since sealing, by the server's clock
  friend bool operator==(const LogSettings&, const LogSettings&) = default;
};

struct ShardLogOptions {
  std::uint64_t cache_bytes = k_cache_bytes_default;  // recent entries kept in memory for readers
  // What entries may hold beyond that while they wait for the disk; appends wait at the bound.
  std::uint64_t unplaced_bytes_max = k_unplaced_bytes_default;
  std::uint64_t read_ahead_bytes_max = k_read_ahead_bytes_max;  // for readers of what is no longer in memory
  Duration retention_interval = std::chrono::seconds(10);
  std::uint64_t ballast_size = 16_MiB;  // as in NodeOptions: a full disk takes it, and it is made again after
};

struct Appended {
  Index index{0};
  Offset base_offset{0};
  Term term{0};
  AckLevel level = AckLevel::leader;  // reached when the call returned
  // The batch stood in the log already, at this offset: nothing was appended, and there is no index.
  bool duplicate = false;
};

// The state of a group's log, all at one moment.
struct LogView {
  LogStart start;
  LogEnd end;      // assigned
  LogEnd durable;  // readers see up to here
  Term term{0};
};

struct LogSize {
  std::uint64_t bytes = 0;  // in segments and waiting for one
  std::uint32_t segments = 0;
};

struct ReadResult {
  // Entries back to back, each padded to 8 bytes, without the gaps that stand between extents. The first one
  // holds the record asked for, or is the first after it. Internal entries are among them. Empty: nothing
  // durable at or beyond the offset yet.
  std::vector<Slice> entries;
  std::uint64_t bytes = 0;
  Offset next_offset{0};  // to ask for next
  // With FirstEntry::within_max, and no entries: the first one is larger than allowed, and this is its size.
  std::uint64_t first_entry_needs = 0;
  LogView view;
  // Whether a reader who would rather wait than get fewer bytes than these has no reason to: there are as
  // many, or the log goes on behind them, and waiting would make the read no larger.
  [[nodiscard]] bool satisfies(std::uint64_t min_bytes) const {
    return bytes >= min_bytes || next_offset < view.durable.next_offset;
  }
};

// What a read does with a first entry that is larger than its max_bytes.
enum class FirstEntry : std::uint8_t { whatever_size, within_max };

// For status and the benchmarks; plain counters since the start.
struct LogCounters {
  std::uint64_t appends = 0, append_bytes = 0;
  std::uint64_t duplicates = 0;                 // batches that the log held already
  std::uint64_t refused_sequences = 0;          // of producers: out of order, fenced, unknown
  std::uint64_t commits = 0, commit_bytes = 0;  // journal writes
  std::uint64_t direct_extents = 0, direct_bytes = 0;
  std::uint64_t direct_bytes_copied =
      0;  // of payloads of k_direct_size_min and more, beyond their first 4 KiB
  std::uint64_t moved_extents = 0, moved_bytes = 0;
  std::uint64_t checkpoints = 0, segments_created = 0, segments_sealed = 0, segments_removed = 0;
  std::uint64_t reads_memory = 0, reads_cold = 0, read_bytes_memory = 0, read_bytes_cold = 0;
  std::uint64_t refused_disk_full = 0;
};
struct LogLatencies {
  Histogram queue;   // from append to its commit's submission
  Histogram write;   // a commit's writes
  Histogram append;  // from append to durable
};

class ShardLog {
 public:
  // Takes over a shard's part of an opened node. Nothing runs yet.
  ShardLog(Reactor& reactor, DataFolder folder, const Identity& identity, const JournalStart& journal,
           const std::vector<RecoveredGroup>& groups, std::shared_ptr<BallastState> ballast,
           ShardLogOptions options);
  ~ShardLog();
  ShardLog(const ShardLog&) = delete;
  ShardLog& operator=(const ShardLog&) = delete;

  // Opens the journal and starts the background work (commits, mover, checkpoints, retention).
  Task<Result<void>> start();
  // Refuses new appends, makes durable what was taken, moves everything into segments and writes a clean
  // checkpoint.
  Task<Result<void>> stop();
  // Completes when a data sync has failed: the process must end without acknowledging anything more. Never
  // completes otherwise.
  Task<Error> failed();

  // ---- groups
  // -----------------------------------------------------------------------------------------------------
  // Makes the group's folder and first segment and journals it. already_exists, disk_full; invalid_argument
  // as in check_room_for(1).
  Task<Result<void>> create(GroupId group, LogSettings settings);
  // invalid_argument: with so many groups more the shard would have more than its journal can hold
  // checkpoints of.
  [[nodiscard]] Result<void> check_room_for(std::size_t groups) const;
  // Deletes the group and all its files, durably; reads in progress end first. not_found.
  Task<Result<void>> remove(GroupId group);
  [[nodiscard]] bool contains(GroupId group) const;
  [[nodiscard]] std::vector<GroupId> groups() const;
  // Settings are not kept by the log; whoever owns the metadata sets them after each start. not_found.
  Result<void> configure(GroupId group, LogSettings settings);

  // ---- entries
  // ----------------------------------------------------------------------------------------------------
  // Appends one checked RecordBatch (record_batch.h's check_batch has passed; `offset_count` is its last
  // offset delta + 1). The log writes offset and term into the batch's first 16 bytes, nothing else. `batch`
  // may be any range of a buffer; a batch of k_direct_size_min and more at offset 48 of its buffer, with room
  // for padding to a block behind it, is written from where it is: the buffer must then belong to this batch
  // alone. Order: calls for one group take effect in the order they were made. With `leader`, and with
  // `none`, returns when index and offset are assigned; with `durable`, when the entry is durable. not_found,
  // disk_full, overloaded (the deadline passed while memory was full, or while calls before waited),
  // shutting_down, sync_failed. A batch of an idempotent producer is checked first (producers.h): one that
  // was appended before is not appended again, but answered as then, when its own level is reached.
  // out_of_order_sequence, producer_fenced, unknown_producer.
  Task<Result<Appended>> append(GroupId group, Slice batch, std::uint32_t offset_count, AckLevel level,
                                MonotonicTime deadline = k_never);

  // Whole entries from the one that holds `from` on, up to about max_bytes: at least one, or what it needs.
  // offset_out_of_range outside [start, durable end], not_found, corruption (with file and position).
  Task<Result<ReadResult>> read(GroupId group, Offset from, std::uint64_t max_bytes,
                                FirstEntry first = FirstEntry::whatever_size);
  // Waits for more than a read gave that ended at the durable end: `from` is that read's next_offset. Returns
  // when there are min_bytes of durable entries from there on, or some that have left memory again, or at the
  // deadline. Errors, also while it waits: not_found, shutting_down, sync_failed: nothing more will come.
  Task<Result<void>> wait_readable(GroupId group, Offset from, std::uint64_t min_bytes,
                                   MonotonicTime deadline);

  // Offset and timestamp of the first durable record with a timestamp of at least `timestamp`; the durable
  // end (and -1) if there is none. Begins at `from`. Once it is `until`, and some of the log is searched, it
  // gives what is not `complete`: the search goes on from that offset. corruption, not_found.
  struct OffsetAt {
    Offset offset{0};
    std::int64_t timestamp = -1;
    bool complete = true;
  };
  Task<Result<OffsetAt>> offset_for_timestamp(GroupId group, std::int64_t timestamp, Offset from = Offset{0},
                                              MonotonicTime until = k_never);

  // From now on searches, also those that wait or are under way, are answered shutting_down: a server that
  // stops does not wait for the reads of all of them.
  void end_searches();

  // Everything before `offset` may go: the log starts at the entry that holds it. Durable on return; whole
  // segments before it are removed in the background. offset_out_of_range beyond the durable end; a trim to
  // before the start does nothing.
  Task<Result<LogStart>> trim(GroupId group, Offset offset);
  // Cuts off every entry after `last`, durably; waits for the group's writes in flight first. Replication's
  // verb: nothing acknowledged as committed may be in the suffix. offset_out_of_range outside [start - 1,
  // end].
  Task<Result<void>> truncate(GroupId group, Index last);

  [[nodiscard]] Result<LogView> view(GroupId group) const;
  // Goes through all segments of the group.
  [[nodiscard]] Result<LogSize> size(GroupId group) const;
  [[nodiscard]] const LogCounters& counters() const;
  [[nodiscard]] const LogLatencies& latencies() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
