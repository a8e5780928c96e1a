// What the commands' flags have in common, and where else their values come from.
//
// Every flag of every command can also be given by the environment, as MILLRACE_ and its long name
// (--segment-bytes: MILLRACE_SEGMENT_BYTES), and by a TOML file, in its command's section ([topic.create]
// segment-bytes = "64MiB"). The flag wins over the environment, the environment over the file. A key of the
// file that no command knows is an error.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/time.h"
#include "engine/reactor/address.h"
#include "tools/table.h"

namespace millrace::tools {

// What the chosen command does; it returns the exit status.
using Run = std::function<int()>;

// ---- flags; a value that cannot be parsed is a usage error whose message says what is expected
void add_server(CLI::App& command, Address& server);
void add_output_format(CLI::App& command, OutputFormat& format);
CLI::Option* add_size(CLI::App& command, const std::string& name, std::uint64_t& bytes,
                      const std::string& what);
CLI::Option* add_duration(CLI::App& command, const std::string& name, Duration& duration,
                          const std::string& what);

// ---- the environment and the file; once all commands and their flags are there
// Gives every flag its variable, and the program its --config.
void add_other_sources(CLI::App& program);
// The variable of a flag: "--segment-bytes" gives MILLRACE_SEGMENT_BYTES.
[[nodiscard]] std::string variable_of(std::string_view long_name);
// The candidate with the fewest edits to `text`; empty without candidates.
[[nodiscard]] std::string closest(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace millrace::tools
