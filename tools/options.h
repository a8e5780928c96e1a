// What the commands' flags have in common, and where else their values come from.
//
// Every flag of every command can also be given by the environment, as MILLRACE_ and its long name
// (--segment-bytes: MILLRACE_SEGMENT_BYTES), and by a TOML file, in its command's section ([topic.create]
// segment-bytes = "64MiB"). The flag wins over the environment, the environment over the file. A section of
// the file that is no command, and a key that its command does not know, are errors that name the right one.
// Values are read for the command that was chosen alone.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/time.h"
#include "engine/reactor/host_port.h"
#include "tools/table.h"

namespace millrace::tools {

// What the chosen command does; it returns the exit status.
using Run = std::function<int()>;

// ---- flags; a value that cannot be parsed is a usage error whose message says what is expected. `names` is
// "--linger" or "-p,--partition". What `value` holds before is the default that --help shows, where there is
// one.

// `parse(text)` gives a Result of the value.
template <class Value, class Parse>
CLI::Option* add_parsed(CLI::App& command, const std::string& names, Value& value, Parse parse,
                        const std::string& what, const std::string& type);
// "none|lz4|zstd", in this order and in either case.
template <class Value>
CLI::Option* add_choice(CLI::App& command, const std::string& names, Value& value,
                        std::vector<std::pair<std::string, Value>> choices, const std::string& what);
struct NumberRange {  // both ends are in it
  std::uint64_t least = 0;
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
};
// A whole number; `Number` is an unsigned type, or an optional one.
template <class Number>
CLI::Option* add_number(CLI::App& command, const std::string& names, Number& number, const std::string& what,
                        NumberRange range = {});
// A folder, whether it exists or not; `Folder` is a string, or an optional one.
template <class Folder>
CLI::Option* add_folder(CLI::App& command, const std::string& names, Folder& folder, const std::string& what);
// A name is taken as it is; whoever uses it resolves it.
CLI::Option* add_host_port(CLI::App& command, const std::string& names, HostPort& place,
                           const std::string& what);
// In bytes.
CLI::Option* add_size(CLI::App& command, const std::string& names, std::uint64_t& bytes,
                      const std::string& what, NumberRange range = {});
struct DurationRange {
  Duration least = Duration::zero();
  Duration most = Duration::max();
};
CLI::Option* add_duration(CLI::App& command, const std::string& names, Duration& duration,
                          const std::string& what, DurationRange range = {});
// What every command that talks to a server has, and what every command that prints something has.
void add_server(CLI::App& command, HostPort& server);
// Where such a command looks for it unless it is told otherwise.
[[nodiscard]] HostPort server_default();
void add_output_format(CLI::App& command, OutputFormat& format);

// ---- the environment and the file; once all commands and their flags are there
// Gives the flags of the chosen command their variables, and the program its --config.
void add_other_sources(CLI::App& program);
// The variable of a flag: "--segment-bytes" gives MILLRACE_SEGMENT_BYTES.
[[nodiscard]] std::string variable_of(std::string_view long_name);
// The candidate that `text` is a slip of, or the beginning of; empty when none is near.
[[nodiscard]] std::string closest(std::string_view text, const std::vector<std::string>& candidates);
// "; did you mean 'serve'?" of that one, for the end of a message; or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view text, const std::vector<std::string>& candidates);

namespace options_detail {

// The value of an environment variable. An empty one counts as not set: that is how a shell or a unit file
// takes a value back.
[[nodiscard]] const char* value_of_variable(const std::string& name);
// Whether a variable and the file may give it.
[[nodiscard]] bool is_configurable(const CLI::Option* option);
// What is wrong with the name of a folder; empty when nothing is.
[[nodiscard]] std::string check_folder(const std::string& name);
// "-p,--partition" gives "--partition".
[[nodiscard]] std::string long_name(const std::string& names);
[[nodiscard]] Result<std::uint64_t> parse_number(const std::string& text, std::uint64_t least,
                                                 std::uint64_t most);

template <class Number>
struct PlainNumber {
  using Type = Number;
};
template <class Number>
struct PlainNumber<std::optional<Number>> {
  using Type = Number;
};

}  // namespace options_detail

template <class Folder>
CLI::Option* add_folder(CLI::App& command, const std::string& names, Folder& folder,
                        const std::string& what) {
  return command.add_option(names, folder, what)->check(&options_detail::check_folder);
}

template <class Value, class Parse>
CLI::Option* add_parsed(CLI::App& command, const std::string& names, Value& value, Parse parse,
                        const std::string& what, const std::string& type) {
  return command
      .add_option_function<std::string>(
          names,
          [&value, parse = std::move(parse), names](const std::string& text) {
            auto parsed = parse(text);
            if (!parsed) throw CLI::ValidationError(options_detail::long_name(names), parsed.error().message);
            value = *std::move(parsed);
          },
          what)
      ->type_name(type);
}

template <class Value>
CLI::Option* add_choice(CLI::App& command, const std::string& names, Value& value,
                        std::vector<std::pair<std::string, Value>> choices, const std::string& what) {
  std::string type, names_of_all, chosen;
  for (const auto& [name, choice] : choices) {
    type += (type.empty() ? "" : "|") + name;
    names_of_all += (names_of_all.empty() ? "" : ", ") + name;
    if (choice == value) chosen = name;
  }
  const auto parse = [choices = std::move(choices), names_of_all](const std::string& text) -> Result<Value> {
    for (const auto& [name, choice] : choices) {
      if (CLI::detail::to_lower(text) == name) return choice;
    }
    return fail(ErrorCode::invalid_argument, "'{}' is not one of {}", text, names_of_all);
  };
  return add_parsed(command, names, value, parse, what, type)->default_str(chosen);
}

template <class Number>
CLI::Option* add_number(CLI::App& command, const std::string& names, Number& number, const std::string& what,
                        NumberRange range) {
  using Plain = typename options_detail::PlainNumber<Number>::Type;
  range.most = std::min<std::uint64_t>(range.most, std::numeric_limits<Plain>::max());
  const auto parse = [range](const std::string& text) -> Result<Plain> {
    TRY(const std::uint64_t parsed, options_detail::parse_number(text, range.least, range.most));
    return static_cast<Plain>(parsed);
  };
  CLI::Option* option = add_parsed(command, names, number, parse, what, "N");
  if constexpr (std::is_same_v<Number, Plain>) option->default_str(std::to_string(number));
  return option;
}

}  // namespace millrace::tools
