#include "tools/options.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <fmt/format.h>
#include <numeric>

#include "engine/base/units.h"
#include "net/client/client.h"
#include "tools/config_file.h"

namespace millrace::tools {
namespace {

// Number of single-character edits between two words (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

void name_variables(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (options_detail::is_configurable(option)) option->envname(variable_of(option->get_lnames().front()));
  }
}

// When a command is chosen: a variable that is wrong for another one is not in its way.
void name_variables_when_chosen(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands({})) {
    command->preparse_callback([command](std::size_t) { name_variables(*command); });
    name_variables_when_chosen(*command);
  }
}

}  // namespace

namespace options_detail {

const char* value_of_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr || *value == '\0' ? nullptr : value;
}

bool is_configurable(const CLI::Option* option) {
  static constexpr std::array<std::string_view, 4> k_of_the_program = {"help", "help-all", "version",
                                                                       "config"};
  return !option->get_lnames().empty() &&
         std::ranges::find(k_of_the_program, option->get_lnames().front()) == k_of_the_program.end();
}

std::string long_name(const std::string& names) {
  return names.substr(names.find("--"));
}

std::string check_folder(const std::string& name) {
  return name.empty() ? "an empty name names no folder" : "";
}

Result<std::uint64_t> parse_number(const std::string& text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= least && number <= most)
    return number;
  const std::string range = most == std::numeric_limits<std::uint64_t>::max()
                                ? fmt::format("of {} or more", least)
                                : fmt::format("from {} to {}", least, most);
  return fail(ErrorCode::invalid_argument, "'{}' is no whole number {}", text, range);
}

}  // namespace options_detail

void add_server(CLI::App& command, HostPort& server) {
  add_host_port(command, "-s,--server", server, "Where the server listens");
}

HostPort server_default() {
  const Address address = ClientOptions{}.server;
  return {address.host, address.port};
}

CLI::Option* add_host_port(CLI::App& command, const std::string& names, HostPort& place,
                           const std::string& what) {
  const auto parse = [](const std::string& text) { return parse_host_port(text); };
  return add_parsed(command, names, place, parse, what, "HOST:PORT")->default_str(to_string(place));
}

void add_output_format(CLI::App& command, OutputFormat& format) {
  add_choice<OutputFormat>(command, "--format", format,
                           {{"table", OutputFormat::table}, {"json", OutputFormat::json}},
                           "A table for people, or JSON for programs");
}

CLI::Option* add_size(CLI::App& command, const std::string& names, std::uint64_t& bytes,
                      const std::string& what, NumberRange range) {
  const auto parse = [range](const std::string& text) -> Result<std::uint64_t> {
    TRY(const std::uint64_t size, parse_size(text));
    if (size > range.most)
      return fail(ErrorCode::invalid_argument, "'{}' is more than {}", text, format_size(range.most));
    if (size < range.least)
      return fail(ErrorCode::invalid_argument, "'{}' is less than {}", text, format_size(range.least));
    return size;
  };
  return add_parsed(command, names, bytes, parse, what, "SIZE")
      ->default_str(bytes == 0 ? "" : format_size(bytes));
}

CLI::Option* add_duration(CLI::App& command, const std::string& names, Duration& duration,
                          const std::string& what, DurationRange range) {
  const auto parse = [range](const std::string& text) -> Result<Duration> {
    TRY(const Duration parsed, parse_duration(text));
    if (parsed > range.most)
      return fail(ErrorCode::invalid_argument, "'{}' is more than {}", text, format_duration(range.most));
    if (parsed < range.least)
      return fail(ErrorCode::invalid_argument, "'{}' is less than {}", text, format_duration(range.least));
    return parsed;
  };
  return add_parsed(command, names, duration, parse, what, "DURATION")
      ->default_str(duration == Duration::zero() ? "" : format_duration(duration));
}

void add_other_sources(CLI::App& program) {
  // CLI11 reads the file before the environment, so the variable is the default.
  const char* file = options_detail::value_of_variable("MILLRACE_CONFIG");
  program
      .set_config("--config", file == nullptr ? "" : file,
                  "A TOML file with values of flags; also MILLRACE_CONFIG", file != nullptr)
      ->type_name("FILE");
  program.config_formatter(make_config_file(program));
  name_variables_when_chosen(program);
}

std::string variable_of(std::string_view long_name) {
  std::string variable = "MILLRACE_";
  long_name.remove_prefix(std::min(long_name.find_first_not_of('-'), long_name.size()));
  for (const char c : long_name) {
    variable.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return variable;
}

std::string closest(std::string_view text, const std::vector<std::string>& candidates) {
  // Whoever types a part of a name means it; else a slip or two, as many as the word bears.
  const auto begins = [&](const std::string& name) { return text.size() >= 5 && name.starts_with(text); };
  if (const auto whole = std::ranges::find_if(candidates, begins); whole != candidates.end()) return *whole;
  const auto edits = [&](const std::string& name) { return distance(text, name); };
  const auto best = std::ranges::min_element(candidates, {}, edits);
  if (best == candidates.end()) return "";
  const std::size_t letters = text.size() - std::min(text.find_first_not_of('-'), text.size());
  return edits(*best) <= std::max<std::size_t>(1, letters / 3) ? *best : "";
}

std::string did_you_mean(std::string_view text, const std::vector<std::string>& candidates) {
  const std::string best = closest(text, candidates);
  return best.empty() ? "" : fmt::format("; did you mean '{}'?", best);
}

}  // namespace millrace::tools
