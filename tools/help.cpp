#include "tools/help.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <vector>

#include "tools/options.h"

namespace millrace::tools {
namespace {

constexpr std::size_t k_width = 100;
constexpr std::size_t k_column = 30;  // where descriptions begin

// The text in lines of at most k_width, each but the first indented to the column.
std::string wrapped(std::string_view text) {
  std::string out;
  std::size_t at = k_column;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find(' '), text.size());
    if (at != k_column && at + 1 + length > k_width) {
      out.append("\n").append(k_column, ' ');
      at = k_column;
    } else if (at != k_column) {
      out.push_back(' ');
      ++at;
    }
    out.append(text.substr(0, length));
    at += length;
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return out;
}

std::string line_of(const std::string& left, const std::string& description) {
  std::string out = "  " + left;
  if (out.size() + 2 > k_column) {
    out.append("\n").append(k_column, ' ');
  } else {
    out.append(k_column - out.size(), ' ');
  }
  return out + wrapped(description) + "\n";
}

// "-s, --server HOST:PORT"; long names stand below each other.
std::string names_of(const CLI::Option& option) {
  std::string text = option.get_snames().empty() ? "    " : "-" + option.get_snames().front() + ", ";
  text += "--" + option.get_lnames().front();
  if (option.get_type_size() != 0) text += " " + option.get_type_name();
  return text;
}

std::string description_of(const CLI::Option& option) {
  std::string text = option.get_description();
  if (option.get_required() && option.nonpositional()) text += " (required)";
  std::string excluded;
  for (const CLI::Option* other : option.get_excludes())
    excluded += (excluded.empty() ? "" : " or ") + other->get_name();
  if (!excluded.empty()) text += fmt::format(" (not with {})", excluded);
  if (!option.get_default_str().empty()) text += fmt::format(" [default: {}]", option.get_default_str());
  return text;
}

std::string usage_of(const CLI::App& app, const std::string& name) {
  std::string text = "Usage: " + name;
  if (!app.get_subcommands({}).empty()) return text + " COMMAND [FLAGS]\n";
  for (const CLI::Option* option : app.get_options()) {
    if (option->nonpositional() && option->get_required())
      text += fmt::format(" --{} {}", option->get_lnames().front(), option->get_type_name());
  }
  text += " [FLAGS]";
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) text += " " + option->get_name(true);
  }
  return text + "\n";
}

// Where else the values of these flags come from; nothing where there are none.
std::string other_sources_of(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_envname().empty()) continue;
    return fmt::format(
        "Each flag's value may also come from the environment (--{}: {}), or from the config\n"
        "file (millrace --config FILE). A flag wins over the environment, the environment over the file.\n",
        option->get_lnames().front(), option->get_envname());
  }
  return "";
}

std::string help_of(const CLI::App& app, const std::string& name) {
  std::string out = app.get_description() + "\n\n" + usage_of(app, name);
  std::string arguments, flags, commands;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      arguments += line_of(option->get_name(true), description_of(*option));
    } else {
      flags += line_of(names_of(*option), description_of(*option));
    }
  }
  for (const CLI::App* command : app.get_subcommands({}))
    commands += line_of(command->get_name(), command->get_description());
  if (!commands.empty()) out += "\nCommands:\n" + commands;
  if (!arguments.empty()) out += "\nArguments:\n" + arguments;
  if (!flags.empty()) out += "\nFlags:\n" + flags;
  if (!app.get_footer().empty()) out += "\n" + app.get_footer() + "\n";
  return out;
}

std::string help_of_all(const CLI::App& app, const std::string& name) {
  std::string out = help_of(app, name);
  for (const CLI::App* command : app.get_subcommands({})) {
    out += fmt::format("\n{}\n\n", std::string(k_width, '-'));
    out += help_of_all(*command, name + " " + command->get_name());
  }
  return out;
}

const CLI::App& chosen(const CLI::App& program) {
  const CLI::App* app = &program;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return *app;
}

std::vector<std::string> flags_of(const CLI::App& program, const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* each : {&program, &app}) {
    for (const CLI::Option* option : each->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

// A word or flag that nobody takes, if there is one.
std::string unknown_word(const CLI::App& program, const CLI::App& app) {
  const std::vector<std::string> rest = program.remaining(true);
  const auto flag =
      std::ranges::find_if(rest, [](const std::string& word) { return word.size() > 1 && word[0] == '-'; });
  if (flag != rest.end()) {
    const std::string name = flag->substr(0, flag->find('='));
    return fmt::format("there is no flag '{}'{}", name, did_you_mean(name, flags_of(program, app)));
  }
  if (rest.empty()) return "";
  const std::vector<std::string> commands = commands_of(app);
  if (commands.empty()) return fmt::format("'{}' is one argument too many", rest.front());
  return fmt::format("there is no command '{}'{}", rest.front(), did_you_mean(rest.front(), commands));
}

std::string missing_command(const CLI::App& app) {
  std::string names;
  for (const std::string& name : commands_of(app)) names += (names.empty() ? "" : ", ") + name;
  return "name a command: " + names;
}

// CLI11's message, where it does not say what to do about it.
std::string in_plain_words(const CLI::ParseError& error) {
  std::string text = error.what();
  const std::string flag = text.substr(0, text.find(": "));
  if (error.get_name() == "ArgumentMismatch")
    return flag + (text.ends_with("missing") ? " needs a value" : " is given more than once");
  if (error.get_name() == "FileError") return "the config file cannot be read: " + text;
  return text;
}

}  // namespace

std::string Help::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const {
  if (mode == CLI::AppFormatMode::All) return help_of_all(*app, name);
  const std::string sources = other_sources_of(*app);
  return help_of(*app, name) + (sources.empty() ? "" : "\n" + sources);
}

std::string command_name(const CLI::App& program) {
  std::string name = program.get_name();
  for (const CLI::App* app = &program; !app->get_subcommands().empty();) {
    app = app->get_subcommands().front();
    name += " " + app->get_name();
  }
  return name;
}

bool is_help_wanted(const CLI::App& program) {
  return program.get_help_ptr()->count() != 0 || chosen(program).get_help_ptr()->count() != 0;
}

std::string usage_error(const CLI::App& program, const CLI::ParseError& error) {
  const CLI::App& app = chosen(program);
  std::string what = unknown_word(program, app);
  if (what.empty() && !app.get_subcommands({}).empty()) what = missing_command(app);
  if (what.empty()) what = in_plain_words(error);
  const std::string name = command_name(program);
  return fmt::format("{}: {}\nTry: {} --help\n", name, what, name);
}

}  // namespace millrace::tools
