#include "tools/start_needs.h"

#include <algorithm>
#include <fmt/format.h>
#include <sched.h>

#include "engine/base/limits.h"
#include "engine/log/identity.h"
#include "tools/options.h"

namespace millrace::tools {
namespace {

constexpr std::uint32_t k_shards_default_max = 8;
// As many journals as the identity has room to name.
constexpr std::uint32_t k_shards_max = k_identity_files_max / k_journal_files;

}  // namespace

void add_shards(CLI::App& command, std::uint32_t& shards) {
  add_number(command, "--shards", shards, "Threads, each with its own part of the partitions",
             {.least = 1, .most = k_shards_max})
      ->default_str(fmt::format("half of the processors, here {}", shards));
}

void add_journal_file_bytes(CLI::App& command, std::uint64_t& bytes) {
  add_size(
      command, "--journal-file-bytes", bytes,
      "Size of each of a shard's 4 journal files, 1 MiB to 1 GiB; a start with the same folder may change it",
      {.least = k_journal_file_size_min, .most = k_journal_file_size_max});
}

std::uint32_t processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<std::uint32_t>(CPU_COUNT(&set)) : 1;
}

std::uint32_t shards_default() {
  return std::clamp(processors() / 2, 1u, k_shards_default_max);
}

}  // namespace millrace::tools
