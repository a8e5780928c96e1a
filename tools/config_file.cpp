#include "tools/config_file.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <toml++/toml.h>

#include "tools/options.h"

namespace millrace::tools {
namespace {

// By its variable, which wins over the file.
bool is_overruled(const CLI::Option& option) {
  return !option.get_envname().empty() && options_detail::value_of_variable(option.get_envname()) != nullptr;
}

// What a file may have: a section for each command ("topic.create"), with its options by key
// ("segment-bytes"). Outside of all sections, "", there is nothing.
using Keys = std::map<std::string, const CLI::Option*>;
using Sections = std::map<std::string, Keys>;

void collect(const CLI::App& app, const std::string& section, Sections& into) {
  Keys& keys = into[section];
  for (const CLI::Option* option : app.get_options()) {
    if (options_detail::is_configurable(option)) keys.emplace(option->get_lnames().front(), option);
  }
  const std::string prefix = section.empty() ? "" : section + ".";
  for (const CLI::App* command : app.get_subcommands({}))
    collect(*command, prefix + command->get_name(), into);
}

template <class Value>
std::vector<std::string> names_in(const std::map<std::string, Value>& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

// Of a key that is not known there.
std::string what_is_wrong(const Sections& sections, const std::string& section, const std::string& key) {
  const auto found = sections.find(section);
  if (found == sections.end()) {
    return fmt::format("the config file has a section [{}], which is no command{}", section,
                       did_you_mean(section, names_in(sections)));
  }
  const std::string what =
      section.empty() ? fmt::format("'{}' stands in no section of the config file", key)
                      : fmt::format("'{}' is no key of the config file's section [{}]", key, section);
  const std::string meant = did_you_mean(key, names_in(found->second));
  if (!meant.empty()) return what + meant;
  std::vector<std::string> homes;
  for (const auto& [name, keys] : sections) {
    if (keys.contains(key)) homes.push_back(fmt::format("[{}]", name));
  }
  return what + (homes.empty() ? "; no command has such a flag"
                               : fmt::format("; it belongs below {}", fmt::join(homes, " or ")));
}

std::string text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  const toml::source_position place = node.source().begin;
  throw CLI::ConfigError(
      fmt::format("line {} of the config file: a value is a text, a number, true or false", place.line));
}

// Whether the command line named this command, {"topic", "create"}.
bool is_chosen(const CLI::App& program, const std::vector<std::string>& command) {
  const CLI::App* app = &program;
  return std::ranges::all_of(command, [&](const std::string& word) {
    if (!app->got_subcommand(word)) return false;
    app = app->get_subcommand(word);
    return true;
  });
}

class ConfigFile : public CLI::ConfigTOML {
 public:
  explicit ConfigFile(const CLI::App& program) : program_(program) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    Sections sections;
    collect(program_, "", sections);
    std::vector<CLI::ConfigItem> items;
    try {
      take(toml::parse(input), {}, sections, items);
    } catch (const toml::parse_error& error) {
      throw CLI::ConfigError(fmt::format("line {} of the config file is no TOML: {}",
                                         error.source().begin.line, error.description()));
    }
    return items;
  }

 private:
  void take(const toml::table& table, const std::vector<std::string>& parents, const Sections& sections,
            std::vector<CLI::ConfigItem>& into) const {
    const std::string section = fmt::format("{}", fmt::join(parents, "."));
    const auto keys = sections.find(section);
    if (keys == sections.end()) throw CLI::ConfigError(what_is_wrong(sections, section, ""));
    const bool wanted = is_chosen(program_, parents);
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      if (const toml::table* inner = node.as_table()) {
        std::vector<std::string> below = parents;
        below.push_back(name);
        take(*inner, below, sections, into);
      } else if (!keys->second.contains(name)) {
        throw CLI::ConfigError(what_is_wrong(sections, section, name));
      } else if (wanted && !is_overruled(*keys->second.at(name))) {
        into.push_back({.parents = parents, .name = name, .inputs = inputs_of(node)});
      }
    }
  }

  static std::vector<std::string> inputs_of(const toml::node& node) {
    const toml::array* several = node.as_array();
    if (several == nullptr) return {text_of(node)};
    std::vector<std::string> inputs;
    for (const toml::node& each : *several) inputs.push_back(text_of(each));
    return inputs;
  }

  const CLI::App& program_;
};

}  // namespace

std::shared_ptr<CLI::Config> make_config_file(const CLI::App& program) {
  return std::make_shared<ConfigFile>(program);
}

}  // namespace millrace::tools
