#include "engine/log/journal_room.h"

#include <algorithm>

#include "engine/log/format_bytes.h"
#include "engine/log/journal_format.h"

namespace millrace {
namespace {

constexpr std::uint64_t k_records_reserve = 64_KiB;
constexpr std::uint64_t k_unfilled_reserve = 32_KiB;
// A group's state, with room for a configuration.
constexpr std::uint64_t k_group_state_size = 144;

// What lets entries, two of the largest commits, find room in half of the ring.
constexpr std::uint64_t checkpoint_size_max(std::uint64_t journal_file_size) {
  const std::uint64_t half = k_journal_files / 2 * journal_file_size;
  return (half - 2 * commit_size_max(journal_file_size) - k_records_reserve - k_unfilled_reserve) / 2;
}
// A checkpoint leaves that half: all files but the one that it begins in, less itself and an end of a file
// that a commit did not fit into.
constexpr bool leaves_half(std::uint64_t journal_file_size) {
  return (k_journal_files - 1) * journal_file_size - checkpoint_size_max(journal_file_size) -
             k_unfilled_reserve - commit_size_max(journal_file_size) >=
         k_journal_files / 2 * journal_file_size;
}
static_assert(leaves_half(k_journal_file_size_min) && leaves_half(k_journal_file_size_default) &&
              leaves_half(k_journal_file_size_max));

}  // namespace

std::uint64_t checkpoint_reserve(std::size_t groups, std::size_t producers) {
  return round_up_to_block(k_unfilled_reserve + 2 * k_group_state_size * groups +
                           2 * std::uint64_t{k_producer_record_size_max} * producers);
}

std::uint64_t entries_reserve(std::size_t groups, std::size_t producers) {
  return k_records_reserve + checkpoint_reserve(groups, producers);
}

std::size_t groups_max(std::uint64_t journal_file_size) {
  return checkpoint_size_max(journal_file_size) / (k_group_state_size + k_producer_record_size_max);
}

std::size_t producers_max(std::uint64_t journal_file_size, std::size_t groups) {
  const std::uint64_t each = std::max<std::uint64_t>(groups, 1);
  const std::uint64_t states = std::min(k_group_state_size * each, checkpoint_size_max(journal_file_size));
  const std::uint64_t room = std::min(journal_file_size / 2, checkpoint_size_max(journal_file_size) - states);
  return std::clamp<std::uint64_t>(room / k_producer_record_size_max / each, 1, k_producers_max);
}

}  // namespace millrace
