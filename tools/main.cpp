// millrace: the server and its command line in one binary.
#include <csignal>
#include <exception>
#include <fmt/format.h>
#include <memory>

#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/help.h"
#include "tools/terminal.h"

namespace millrace::tools {
namespace {

int run_program(int argc, char** argv) {
  CLI::App program{"Millrace: a log server and storage engine", "millrace"};
  program.require_subcommand(1);
  // Commands inherit these; --help-all and --version, added at the end, are the program's alone.
  program.formatter(std::make_shared<Help>());
  program.set_help_flag("-h,--help", "Print this and exit");
  program.fallthrough();  // --config may stand anywhere
  program.footer(
      "Flags also come from the environment (--data: MILLRACE_DATA) and from a TOML file (--config FILE);\n"
      "a flag wins over the environment, the environment over the file.\n\n"
      "Example:\n"
      "  millrace serve --data /var/lib/millrace &\n"
      "  echo hello | millrace produce greetings\n"
      "  millrace consume greetings --end");
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
  program.set_help_all_flag("--help-all", "Print the help of every command and exit");
  program.set_version_flag("--version", "millrace " MILLRACE_VERSION, "Print the version and exit");
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);
    if (is_help_wanted(program)) return program.exit(CLI::CallForHelp());
    write_error(usage_error(program, error));
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
