// What --help prints, and what is said about a command line that CLI11 refuses.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace millrace::tools {

// The help of a command: what it does, how to call it, its arguments, flags or commands, and an example. Each
// flag stands with its values, its default and its unit. With AppFormatMode::All the help of every command.
class Help : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

// "millrace topic create": the command that was named, as far as it was understood.
[[nodiscard]] std::string command_name(const CLI::App& program);
// Whether --help stands on the command line. It comes before a value that is wrong, which it may be asked
// about.
[[nodiscard]] bool is_help_wanted(const CLI::App& program);
// What is wrong with the command line, and where to look, as lines for standard error. A flag or command that
// does not exist comes before anything else that is wrong, with the closest one that does.
[[nodiscard]] std::string usage_error(const CLI::App& program, const CLI::ParseError& error);

}  // namespace millrace::tools
