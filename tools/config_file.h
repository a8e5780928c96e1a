// The file of --config: TOML, with a section for each command, [serve] or [topic.create], and its flags as
// keys.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>

namespace millrace::tools {

// Reads such a file for the chosen command of the program. What is no TOML, and a section or key that no
// command has, are errors that say so wherever they stand; values are looked at in the command's own section.
// A variable that is set wins over the file.
[[nodiscard]] std::shared_ptr<CLI::Config> make_config_file(const CLI::App& program);

}  // namespace millrace::tools
