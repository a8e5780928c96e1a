#include "bench/support/settings.h"

#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sched.h>

#include "tools/exit_codes.h"
#include "tools/options.h"
#include "tools/terminal.h"

namespace millrace::bench {
namespace {

std::vector<int> cpus_of_this_thread() {
  cpu_set_t allowed;
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {0};
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  }
  return cpus;
}

// The server of this build: beside this program's folder, in tools/.
std::string own_millrace() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path().parent_path() / "tools" / "millrace").string();
}

void add_settings(CLI::App& app, Settings& settings) {
  const std::vector<int>& cpus = allowed_cpus();
  settings.server_cpu = cpus.front();
  settings.client_cpu = cpus.back();
  settings.millrace = own_millrace();
  app.add_option("--folder", settings.folder,
                 "Where to measure; it needs some GiB, which are free again at the end")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  app.add_option("--rounds", settings.rounds, "How often everything is measured, in turn")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", settings.seconds, "Length of one measurement in a round")
      ->check(CLI::Range(0.05, 600.0))
      ->capture_default_str();
  app.add_option("--json", settings.json, "Also write the report to this file, as JSON");
  app.add_option("--server-cpu", settings.server_cpu, "Processor of the engine or server, and of fio")
      ->capture_default_str();
  app.add_option("--client-cpu", settings.client_cpu, "Processor of the client")->capture_default_str();
  app.add_option("--millrace", settings.millrace, "The server's binary")->capture_default_str();
}

void add_flag(CLI::App& app, const OwnFlag& flag) {
  if (auto* const* size = std::get_if<std::uint64_t*>(&flag.value)) {
    tools::add_size(app, flag.name, **size, flag.what);
  } else if (auto* const* count = std::get_if<std::uint32_t*>(&flag.value)) {
    app.add_option(flag.name, **count, flag.what)
        ->check(CLI::Range(static_cast<std::uint32_t>(flag.least), static_cast<std::uint32_t>(flag.most)))
        ->capture_default_str();
  } else {
    app.add_option(flag.name, *std::get<double*>(flag.value), flag.what)
        ->check(CLI::Range(flag.least, flag.most))
        ->capture_default_str();
  }
}

Result<void> write_json(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return fail(ErrorCode::io_error, "cannot write {}", path);
  return {};
}

Result<void> measure_and_report(const std::string& name, const Settings& settings, const Measure& measure) {
  Report report(name, settings.folder);
  TRY_VOID(measure(settings, report));
  tools::write_output(report.text());
  if (!settings.json.empty()) TRY_VOID(write_json(settings.json, tools::json_text(report.json())));
  return {};
}

}  // namespace

int run_program(const Program& program, int argc, char** argv, const Measure& measure) {
  CLI::App app{program.what, program.name};
  app.footer(fmt::format("Example:\n  {} {}", program.name, program.example));
  Settings settings;
  try {
    for (const OwnFlag& flag : program.flags) add_flag(app, flag);
    add_settings(app, settings);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? tools::k_exit_ok : tools::k_exit_usage;
  }
  try {
    if (auto measured = measure_and_report(program.name, settings, measure); !measured) {
      tools::write_error(fmt::format("{}: {}\n", program.name, measured.error().message));
      return tools::k_exit_failure;
    }
  } catch (const std::exception& error) {
    tools::write_error(fmt::format("{}: {}\n", program.name, error.what()));
    return tools::k_exit_failure;
  }
  return tools::k_exit_ok;
}

const std::vector<int>& allowed_cpus() {
  static const std::vector<int> cpus = cpus_of_this_thread();
  return cpus;
}

Result<void> stay_on(int cpu) {
  cpu_set_t own;
  CPU_ZERO(&own);
  CPU_SET(static_cast<std::size_t>(cpu), &own);
  if (::sched_setaffinity(0, sizeof own, &own) == 0) return {};
  return fail(ErrorCode::invalid_argument,
              "this process may not use processor {}; choose others with --server-cpu and --client-cpu", cpu);
}

}  // namespace millrace::bench
