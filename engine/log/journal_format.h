// The journal's bytes (docs/format.md, "Journal"): commits, and the journal records in them. All little
// endian.
//
// Commit: starts on a 4 KiB block, never crosses the end of its file, ends padded with zeros to a block.
//
//   at  type  field
//    0  u64   header_checksum    XXH3-64 of bytes 8..79
//    8  u64   magic              "MRCOMMIT"
//   16  u64   start_id           one process start; stale commits of a reused file carry another
//   24  u64   sequence           from 1, never repeats under a start id
//   32  u64   position           own place: (lap-free file ordinal x file size) + offset in the file
//   40  u64   complete_through   the last sequence that was complete when this one was submitted
//   48  u64   body_checksum      XXH3-64 of the body
//   56  u32   body_length        bytes from 80 on: journal records, each padded to 8
//   60  u32   record_count
//   64  u32   journal            number of the journal (the shard that wrote it)
//   68  u32   version            1
//   72  u64   generation         of the identity that this start wrote; 0: written before commits said it
//
// Journal record: u32 length of the body, u16 type, u16 zero, u64 group; the body; zeros to a multiple of 8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/log/positions.h"
#include "engine/log/producers.h"

namespace millrace {

inline constexpr std::uint32_t k_commit_header_size = 80;
inline constexpr std::uint32_t k_journal_record_header_size = 16;
inline constexpr std::uint32_t k_journal_version = 1;
// What a producer record takes at most, header included.
inline constexpr std::uint32_t k_producer_record_size_max =
    k_journal_record_header_size + 16 + 16 * k_producer_batches_kept;

struct CommitHeader {
  std::uint64_t start_id = 0;
  Sequence sequence{0};
  std::uint64_t position = 0;
  Sequence complete_through{0};
  std::uint64_t body_checksum = 0;
  std::uint32_t body_length = 0;
  std::uint32_t record_count = 0;
  std::uint32_t journal = 0;
  std::uint64_t generation = 0;  // of the identity that its start wrote; 0: written before commits said it
  // Bytes it takes in the file: header and body, rounded up to a block.
  [[nodiscard]] std::uint64_t size() const;
};

// Writes the header over the first k_commit_header_size bytes, with its checksum.
void encode_commit_header(const CommitHeader& header, std::span<std::byte> into);
// Nothing if the bytes are no commit header (magic, version or checksum do not hold): journals are searched
// with it.
[[nodiscard]] std::optional<CommitHeader> decode_commit_header(std::span<const std::byte> bytes);

enum class JournalRecordType : std::uint16_t {
  entry = 1,           // one entry, header and payload as in a segment
  vote = 2,            // term and vote of a group
  extent = 3,          // an extent of a segment that this commit's completeness depends on
  cut = 4,             // a suffix of the log is gone
  group_state = 5,     // everything a restart needs of a group whose older records may be gone
  checkpoint_end = 6,  // all groups' states have been written since `first`; group is 0
  group_removed = 7,   // the group is deleted; older records of it mean nothing
  producer = 8,  // what is known of a producer's last batches; those that the log does not hold do not count
};

struct VoteRecord {  // body: i32 term, u32 voted_for + 1 (0: nobody)
  Term term{0};
  std::optional<NodeId> voted_for;
  friend bool operator==(const VoteRecord&, const VoteRecord&) = default;
};
struct ExtentRecord {
  // body: u64 segment, u64 position, u64 length, u64 first_index, u64 last_index, i64 next_offset, u64 chain,
  //       u64 chain_before, i64 first_offset
  Index segment{0};            // the file
  std::uint64_t position = 0;  // block-aligned
  std::uint64_t length = 0;    // with padding, a multiple of a block
  Index first_index{0};
  Offset first_offset{0};  // next offset before the extent
  std::uint64_t chain_before = 0;
  LogEnd end;  // after its last entry
  friend bool operator==(const ExtentRecord&, const ExtentRecord&) = default;
};
struct CutRecord {     // body: u64 last_index, i64 next_offset, u64 chain, u64 segment, u64 position
  LogEnd end;          // what remains
  SegmentEnd segment;  // the file that is closed, and where its content ends; segment 0: none is touched
  friend bool operator==(const CutRecord&, const CutRecord&) = default;
};
struct GroupStateRecord {
  // body: i32 term, u32 voted_for + 1, u64 start index, i64 start offset, u64 segment, u64 position, u32 open
  // (0, 1),
  //       u32 zero, u64 last_index, i64 next_offset, u64 chain, u32 configuration length, u32 zero, then the
  //       configuration. Its producers follow in records of their own
  Term term{0};
  std::optional<NodeId> voted_for;
  LogStart start;
  SegmentEnd segment;  // everything up to `end` stands in segments, synced
  LogEnd end;
  friend bool operator==(const GroupStateRecord&, const GroupStateRecord&) = default;
};
struct CheckpointEndRecord {  // body: u64 replay_from, u64 first, u32 group_count, u32 clean (0, 1)
  Sequence replay_from{0};    // older commits are not needed any more
  Sequence first{0};          // the commit that holds the checkpoint's first group state
  std::uint32_t group_count = 0;
  bool clean = false;  // the last record of a clean stop: segments may stay open
  friend bool operator==(const CheckpointEndRecord&, const CheckpointEndRecord&) = default;
};
struct GroupRemovedRecord {
  friend bool operator==(const GroupRemovedRecord&, const GroupRemovedRecord&) = default;
};
struct ProducerRecord {
  // body: i64 id, i16 epoch, u16 number of batches, i32 next sequence, then of each batch, the oldest first:
  //       i32 first sequence, i32 last sequence, i64 base offset
  KnownProducer state;
  friend bool operator==(const ProducerRecord&, const ProducerRecord&) = default;
};
struct EntryRecord {
  std::span<const std::byte> entry;  // into the commit's bytes
};
using JournalRecordBody = std::variant<EntryRecord, VoteRecord, ExtentRecord, CutRecord, GroupStateRecord,
                                       CheckpointEndRecord, GroupRemovedRecord, ProducerRecord>;
struct JournalRecord {
  GroupId group{0};
  JournalRecordBody body;
};

// Bytes that a record with this body takes in a commit, header and padding included.
[[nodiscard]] std::uint64_t journal_record_size(const JournalRecordBody& body);
// Appends a record; `into` must have journal_record_size bytes. Returns that size.
std::uint64_t encode_journal_record(const JournalRecord& record, std::span<std::byte> into);
// The same for an entry whose header and payload do not stand together yet.
std::uint64_t encode_entry_record(GroupId group, std::span<const std::byte> header,
                                  std::span<const std::byte> payload, std::span<std::byte> into);

// Walks the records of a commit's body. Every length is checked; a body that passed its checksum and still
// does not parse is corruption.
class JournalRecordReader {
 public:
  explicit JournalRecordReader(std::span<const std::byte> body) : rest_(body) {}
  [[nodiscard]] bool done() const { return rest_.empty(); }
  [[nodiscard]] Result<JournalRecord> next();

 private:
  std::span<const std::byte> rest_;
};

}  // namespace millrace
