// What `millrace serve` is told of which follows what a start needs; `millrace doctor` takes it as well.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace millrace::tools {

// --shards and --journal-file-bytes. What `shards` and `bytes` hold before is the default.
void add_shards(CLI::App& command, std::uint32_t& shards);
void add_journal_file_bytes(CLI::App& command, std::uint64_t& bytes);

// Half of the processors that this process may use: clients and the kernel's work with devices and sockets
// need the others.
[[nodiscard]] std::uint32_t shards_default();

// Processors that this process may use.
[[nodiscard]] std::uint32_t processors();

}  // namespace millrace::tools
