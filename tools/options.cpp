#include "tools/options.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <numeric>

#include "engine/base/units.h"

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

bool is_configurable(const CLI::Option* option) {
  return !option->get_lnames().empty() && option->get_lnames().front() != "help" &&
         option->get_lnames().front() != "config";
}

// Every key that a file may have ("topic.create.segment-bytes"), with its option.
void collect(const CLI::App& app, const std::string& prefix,
             std::map<std::string, const CLI::Option*>& into) {
  for (const CLI::Option* option : app.get_options()) {
    if (is_configurable(option)) into.emplace(prefix + option->get_lnames().front(), option);
  }
  for (const CLI::App* command : app.get_subcommands({}))
    collect(*command, prefix + command->get_name() + ".", into);
}

// TOML, with two rules of ours: every key must be known, and a variable that is set wins over the file.
class ConfigFile : public CLI::ConfigTOML {
 public:
  explicit ConfigFile(const CLI::App& program) : program_(program) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::map<std::string, const CLI::Option*> known;
    collect(program_, "", known);
    std::vector<std::string> names;
    for (const auto& [name, option] : known) names.push_back(name);
    std::vector<CLI::ConfigItem> kept;
    for (CLI::ConfigItem& item : CLI::ConfigTOML::from_config(input)) {
      if (item.name == "++" || item.name == "--") {  // begin and end of a section
        kept.push_back(std::move(item));
        continue;
      }
      const auto found = known.find(item.fullname());
      if (found == known.end()) {
        throw CLI::ConfigError(fmt::format("'{}' is no key of the config file; did you mean '{}'?",
                                           item.fullname(), closest(item.fullname(), names)));
      }
      const std::string& variable = found->second->get_envname();
      if (variable.empty() || std::getenv(variable.c_str()) == nullptr) kept.push_back(std::move(item));
    }
    return kept;
  }

 private:
  const CLI::App& program_;
};

void name_variables(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (is_configurable(option)) option->envname(variable_of(option->get_lnames().front()));
  }
  for (CLI::App* command : app.get_subcommands({})) name_variables(*command);
}

}  // namespace

void add_server(CLI::App& command, Address& server) {
  command
      .add_option_function<std::string>(
          "-s,--server",
          [&server](const std::string& text) {
            auto address = parse_address(text);
            if (!address) throw CLI::ValidationError("--server", address.error().message);
            server = *std::move(address);
          },
          "Where the server listens")
      ->type_name("HOST:PORT")
      ->default_str(to_string(server));
}

void add_output_format(CLI::App& command, OutputFormat& format) {
  const std::map<std::string, OutputFormat> names{{"table", OutputFormat::table},
                                                  {"json", OutputFormat::json}};
  command.add_option("--format", format, "For people or for programs: table or json")
      ->transform(CLI::CheckedTransformer(names, CLI::ignore_case))
      ->type_name("FORMAT")
      ->default_str("table");
}

CLI::Option* add_size(CLI::App& command, const std::string& name, std::uint64_t& bytes,
                      const std::string& what) {
  return command
      .add_option_function<std::string>(
          name,
          [&bytes, name](const std::string& text) {
            const auto size = parse_size(text);
            if (!size) throw CLI::ValidationError(name, size.error().message);
            bytes = *size;
          },
          what)
      ->type_name("SIZE")
      ->default_str(bytes == 0 ? "" : format_size(bytes));
}

CLI::Option* add_duration(CLI::App& command, const std::string& name, Duration& duration,
                          const std::string& what) {
  return command
      .add_option_function<std::string>(
          name,
          [&duration, name](const std::string& text) {
            const auto parsed = parse_duration(text);
            if (!parsed) throw CLI::ValidationError(name, parsed.error().message);
            duration = *parsed;
          },
          what)
      ->type_name("DURATION");
}

void add_other_sources(CLI::App& program) {
  // CLI11 reads the file before the environment, so the variable is the default.
  const char* file = std::getenv("MILLRACE_CONFIG");
  program
      .set_config("--config", file == nullptr ? "" : file,
                  "A TOML file with values for flags (MILLRACE_CONFIG)", file != nullptr)
      ->type_name("FILE");
  program.config_formatter(std::make_shared<ConfigFile>(program));
  name_variables(program);
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
  const auto best =
      std::ranges::min_element(candidates, {}, [&](const std::string& name) { return distance(text, name); });
  return best == candidates.end() ? std::string() : *best;
}

}  // namespace millrace::tools
