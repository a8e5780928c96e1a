// Checksums that hold again. A mutated input would end at the first checksum; most targets repair it when a
// bit of the input says so, so that the code behind it is reached. That is no attack that the formats
// withstand (XXH3 and CRC-32C find accidents), but memory safety and named errors are demanded of such bytes,
// too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/ids.h"
#include "engine/log/positions.h"

namespace millrace::fuzz {

// u64 at 0 := XXH3-64 of all bytes behind it: header block of a segment, slot of an identity, header of a
// commit.
void repair_block(std::span<std::byte> block);

// Payload and header checksum of the entry at the beginning of `bytes`, and its place in the hash chain.
// Gives its header checksum; 0 if it is no entry that a checksum could help (too short, or a length out of
// range).
std::uint64_t repair_entry(std::span<std::byte> bytes, std::uint64_t prev_checksum);
// The same for entries back to back, each padded to 8, from `end` on: also group, index and base offset.
// Stops at eight zero bytes, or at the first that is no entry. Gives the end of the log behind them.
LogEnd repair_entries(std::span<std::byte> bytes, GroupId group, LogEnd end);

// Length and CRC-32C of a record batch that fills `batch`.
void repair_batch(std::span<std::byte> batch);

// Lengths and checksums of the commit that fills `commit`, without the zeros behind it.
void repair_commit(std::span<std::byte> commit);

// Position and length in the trailer of a footer that fills `footer`, and its checksum.
void repair_footer(std::span<std::byte> footer, std::uint64_t position, std::uint64_t length);

// Checksum of a frame's preamble; `frame` begins with it. Nothing happens where the table is not all there.
void repair_frame(std::span<std::byte> frame);

}  // namespace millrace::fuzz
