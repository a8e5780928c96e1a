// The entry: the unit of the log, of the disk and of replication. One layout everywhere;
// tests/base/golden/entry_trim.hex is a whole one.
//
//    at                                                     at
//    0  u64    header_checksum  XXH3-64 of bytes 8..63      40  u32     offset_count
//    8  u64    payload_checksum XXH3-64 of the payload      44  u8      type
//   16  u64    prev_checksum    header_checksum of the      45  u8      version
//                               entry before                46  u16     flags
//   24  u64    index                                        48  i64 BE  base_offset
//   32  u64    group                                        56  i32 BE  batch_length
//                                                           60  i32 BE  term
//   64  payload, then zeros to a multiple of 8
//
// Bytes 48 to 63 are, byte for byte, the first 16 bytes of a RecordBatch, so that a batch stands contiguous
// from byte 48 of its entry, and the leader gives it offset and term by writing the header alone. The rest is
// little endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"

namespace millrace {

inline constexpr std::uint32_t k_entry_header_size = 64;
// Where a RecordBatch begins in its entry.
inline constexpr std::uint32_t k_batch_offset_in_entry = 48;
// What batch_length does not count: an entry is this much longer than its batch_length.
inline constexpr std::uint32_t k_entry_length_base = 60;
inline constexpr std::uint8_t k_entry_version = 1;
// batch_length of an entry without payload, and of the largest one: a batch of k_batch_size_max.
inline constexpr std::int32_t k_entry_batch_length_min = k_entry_header_size - k_entry_length_base;
inline constexpr std::int32_t k_entry_batch_length_max =
    k_batch_size_max - (k_entry_length_base - k_batch_offset_in_entry);

// The numbers stand on disk: never reused.
enum class EntryType : std::uint8_t {
  batch = 1,          // a RecordBatch
  no_op = 2,          // empty; a leader's first entry of its term
  configuration = 3,  // members of the group
  trim = 4,           // new log start (trim_payload.h), so that replicas agree
  gap = 5,            // a lost range
};

// The header's fields, typed. decode() fills all of them; encode() computes header_checksum and ignores the
// one here.
struct EntryHeader {
  std::uint64_t header_checksum = 0;
  std::uint64_t payload_checksum = 0;
  std::uint64_t prev_checksum = 0;  // 0 before index 1
  Index index;
  GroupId group;
  std::uint32_t offset_count = 0;  // last offset delta + 1 of a batch; 0 for every other type
  EntryType type = EntryType::batch;
  std::uint8_t version = k_entry_version;
  std::uint16_t flags = 0;
  Offset base_offset;  // of the first record; for other types the next offset
  std::int32_t batch_length = k_entry_batch_length_min;
  Term term;

  [[nodiscard]] std::uint32_t payload_size() const {
    return static_cast<std::uint32_t>(batch_length - k_entry_batch_length_min);
  }
  // Where the next record's offset continues.
  [[nodiscard]] Offset next_offset() const { return base_offset + offset_count; }
  friend bool operator==(const EntryHeader&, const EntryHeader&) = default;
};

// Bytes of an entry with this batch_length (checked to be in range before), without and with its padding.
[[nodiscard]] constexpr std::uint32_t entry_size(std::int32_t batch_length) {
  return k_entry_length_base + static_cast<std::uint32_t>(batch_length);
}
[[nodiscard]] constexpr std::uint32_t padded_size(std::uint32_t size) {
  return (size + k_entry_alignment - 1) & ~(k_entry_alignment - 1);
}
[[nodiscard]] constexpr std::uint32_t padded_entry_size(std::int32_t batch_length) {
  return padded_size(entry_size(batch_length));
}

// What 64 bytes are. Only `valid` makes the decoded fields mean anything.
enum class HeaderVerdict : std::uint8_t {
  valid,
  end,                // the first eight bytes are zero: nothing more before the next 4 KiB boundary
  checksum_mismatch,  // damaged, torn or no header at all
  unknown_version,    // whole, and written by a newer program
  unknown_type,       // the same
  invalid_field,      // whole, but a length, count, offset, index or term is out of range
};
[[nodiscard]] std::string_view name(HeaderVerdict verdict);

// Writes the 64 bytes and returns the header_checksum, which the next entry's prev_checksum repeats. A
// checksum that comes out 0 is stored and returned as 1, because zero means "nothing more".
std::uint64_t encode(const EntryHeader& header, std::span<std::byte, k_entry_header_size> out);

// Reads and judges 64 bytes from a disk or a peer. `header` is written for every verdict except `end`, for
// messages.
[[nodiscard]] HeaderVerdict decode(std::span<const std::byte, k_entry_header_size> bytes,
                                   EntryHeader& header);

// decode() for callers to whom every other verdict is an error: corruption (unsupported_version for
// unknown_version). Fewer than 64 bytes are corruption too.
[[nodiscard]] Result<EntryHeader> decode_entry_header(std::span<const std::byte> bytes);

// Whether `payload` (without padding) is the one that the header was made for: size and payload_checksum.
[[nodiscard]] bool check_payload(const EntryHeader& header, std::span<const std::byte> payload);

}  // namespace millrace
