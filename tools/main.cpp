// millrace: the server and its command line in one binary.
#include <csignal>
#include <exception>
#include <fmt/format.h>
#include <string>
#include <vector>

#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/terminal.h"

namespace millrace::tools {
namespace {

// "there is no command 'serv'; did you mean 'serve'?", when that is what is wrong.
std::string unknown_command(const CLI::App& program) {
  const CLI::App* app = &program;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  std::vector<std::string> names;
  for (const CLI::App* command : app->get_subcommands({})) names.push_back(command->get_name());
  const std::vector<std::string> rest = app->remaining();
  if (names.empty() || rest.empty()) return {};
  return fmt::format("there is no command '{}'; did you mean '{}'?", rest.front(),
                     closest(rest.front(), names));
}

int run_program(int argc, char** argv) {
  CLI::App program{"Millrace: a log server and storage engine", "millrace"};
  program.require_subcommand(1);
  program.set_help_all_flag("--help-all", "Print the help of every command and exit");
  program.footer(
      "Flags also come from the environment (--data: MILLRACE_DATA) and from a TOML file (--config FILE);\n"
      "a flag wins over the environment, the environment over the file.\n\n"
      "Example:\n  millrace serve --data /var/lib/millrace");
  Run run;
  add_serve(program, run);
  add_status(program, run);
  add_topic(program, run);
  add_produce(program, run);
  add_consume(program, run);
  add_log(program, run);
  add_doctor(program, run);
  add_version(program, run);
  add_other_sources(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);
    const std::string unknown = unknown_command(program);
    if (unknown.empty()) {
      program.exit(error);
    } else {
      write_error(fmt::format("millrace: {}\n", unknown));
    }
    return k_exit_usage;
  }
  return run();
}

}  // namespace
}  // namespace millrace::tools

int main(int argc, char** argv) {
  // Writing to a pipe that nobody reads is an error like others (terminal.h), not the end.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return millrace::tools::run_program(argc, argv);
  } catch (const std::exception& error) {
    millrace::tools::write_error(fmt::format("millrace: {}\n", error.what()));
    return millrace::tools::k_exit_failure;
  }
}
