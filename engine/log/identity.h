// The identity of a data folder: who it belongs to, and which journal files are in force.
//
// The file has two slots of one block each; the valid one with the higher generation counts. An update is
// written into the other one first, synced, so that a power cut leaves the old or the new; then into this one
// too, so that at rest either may rot.
//
// Slot: 0 u64 checksum (XXH3-64 of bytes 8..4095)   8 u64 magic "MRIDENTY"   16 u32 version 1   20 u32 node
//       24 u8[16] cluster   40 u8[16] incarnation   56 u64 generation   64 u64 start_id
//       72 u32 journals   76 u32 files a journal   80 u64 journal_file_size   88 u64 zero
//       96 u32 file ids, journals x files of them, in ring order; zeros
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"

namespace millrace {

inline constexpr std::uint32_t k_identity_version = 1;
inline constexpr std::uint32_t k_identity_file_size = 2 * k_block_size;
inline constexpr std::uint32_t k_identity_files_max = (k_block_size - 96) / 4;

struct Identity {
  ClusterId cluster;
  NodeId node{1};
  IncarnationId incarnation;
  std::uint64_t generation = 0;
  std::uint64_t start_id = 0;
  std::uint64_t journal_file_size = 0;
  // journals[j][k]: id of the file that ring place k of journal j uses.
  std::vector<std::vector<std::uint32_t>> journals;
  friend bool operator==(const Identity&, const Identity&) = default;
};

void encode_identity(const Identity& identity, std::span<std::byte> slot);
// wrong_folder (not ours), unsupported_version (names both), corruption.
[[nodiscard]] Result<Identity> decode_identity(std::span<const std::byte> slot);
// The identity that counts among the two slots of the file.
[[nodiscard]] Result<Identity> choose_identity(std::span<const std::byte> file);

}  // namespace millrace
