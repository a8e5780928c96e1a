// How the ring of a shard's journal is shared out between entries, checkpoints and other records, and so how
// many groups it can be the journal of.
//
// A checkpoint is due when half of the ring is in use, and leaves at least half of it free: three of the four
// files, less what the checkpoint takes. Entries need room beyond what checkpoints and other records have to
// themselves (entries_reserve()). Were that more than half of the ring, no checkpoint would be due, and no
// entry would have room. So checkpoints are bounded, and by them the groups and producers of a shard.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/limits.h"

namespace millrace {

// What the entries of a commit are gathered up to. The first group's share may be larger, but less than twice
// this.
[[nodiscard]] constexpr std::uint64_t commit_size_max(std::uint64_t journal_file_size) {
  const std::uint64_t part = journal_file_size / 4;
  return part < k_commit_size_max ? part : k_commit_size_max;
}

// Room that only checkpoints may use: two of so many groups and producers, and the blocks that are not
// filled.
[[nodiscard]] std::uint64_t checkpoint_reserve(std::size_t groups, std::size_t producers);
// Room that entries may not use: that, and some for votes, cuts and groups that come and go.
[[nodiscard]] std::uint64_t entries_reserve(std::size_t groups, std::size_t producers);

// How many groups a shard may have.
[[nodiscard]] std::size_t groups_max(std::uint64_t journal_file_size);
// How many producers each group of a shard with so many remembers: k_producers_max, or what lets a checkpoint
// of all of them fit, of which producers get at most half a journal file; and at least one. So a shard's
// memory for them is bounded by that, too.
[[nodiscard]] std::size_t producers_max(std::uint64_t journal_file_size, std::size_t groups);

}  // namespace millrace
