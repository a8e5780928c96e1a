// A segment's bytes (docs/format.md, "Segment"): header block, extents, footer. All little endian.
//
// Header block, 4 KiB:
//    0 u64 checksum        XXH3-64 of bytes 8..4095
//    8 u64 magic           "MRSEGMNT"
//   16 u32 version  1      20 u32 zero
//   24 u8[16] cluster
//   40 u64 group           48 u64 first_index    56 i64 first_offset     64 u64 chain_before
//   72 i64 created_at      milliseconds, the server's clock
//   80 zeros
//
// Extents follow from 4096 on: each starts on a block, holds whole entries back to back (each padded to 8),
// and ends padded with zeros to a block. Eight zero bytes where an entry would begin mean: nothing more
// before the next block.
//
// Footer of a sealed segment, from the block-aligned end of the last extent to the end of the file:
//   blocks:  u32 type, u32 length of the body, body, zeros to a multiple of 8
//     type 1 sparse index: {u64 index, i64 offset, u64 position, i64 max_timestamp} ...; an item stands for
//     the entry at
//            `position`, max_timestamp for everything from it to the next item
//     type 2 end: u64 last_index, i64 next_offset, u64 chain, u64 position (end of the extents), i64
//     max_timestamp type 3 sealed: i64 milliseconds, the server's clock (type 4 is kept for producer state;
//     unknown types are skipped)
//   zeros up to 40 bytes before the end of the file, which is block-aligned
//   trailer: u64 checksum (XXH3-64 of the footer from its position up to the trailer, then of trailer
//   bytes 8..39), u64 magic "MRFOOTER",
//            u64 position of the footer, u64 length of the blocks, u32 version 1, u32 zero
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/log/positions.h"

namespace millrace {

inline constexpr std::uint32_t k_segment_version = 1;
inline constexpr std::uint32_t k_footer_trailer_size = 40;

struct SegmentHeader {
  ClusterId cluster;
  GroupId group{0};
  Index first_index{0};
  Offset first_offset{0};
  std::uint64_t chain_before = 0;
  WallTime created_at;
  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};
// `into` is one block.
void encode_segment_header(const SegmentHeader& header, std::span<std::byte> into);
// unsupported_version, or corruption with what did not hold.
[[nodiscard]] Result<SegmentHeader> decode_segment_header(std::span<const std::byte> block);

struct SparseIndexItem {
  Index index{0};
  Offset offset{0};
  std::uint64_t position = 0;
  std::int64_t max_timestamp = -1;
  friend bool operator==(const SparseIndexItem&, const SparseIndexItem&) = default;
};
struct SegmentFooter {
  std::vector<SparseIndexItem> index;
  LogEnd end;
  // Of the extents: a multiple of a block, or, where a cut has left a part of an extent, the end of the last
  // entry.
  std::uint64_t end_position = 0;
  std::int64_t max_timestamp = -1;
  WallTime sealed_at;
  friend bool operator==(const SegmentFooter&, const SegmentFooter&) = default;
};
// Bytes from `footer.end_position`, rounded up to a block, to the end of the file: a multiple of a block.
[[nodiscard]] std::uint64_t footer_size(const SegmentFooter& footer);
void encode_footer(const SegmentFooter& footer, std::span<std::byte> into);
// Where the footer begins, from the last k_footer_trailer_size bytes of a file of `file_size`; nothing if
// that is no trailer.
[[nodiscard]] std::optional<std::uint64_t> footer_position(std::span<const std::byte> trailer,
                                                           std::uint64_t file_size);
// From the bytes [footer_position, file end). corruption if anything does not hold.
[[nodiscard]] Result<SegmentFooter> decode_footer(std::span<const std::byte> bytes, std::uint64_t position);

}  // namespace millrace
