// millrace doctor: prints what examine() found.
#include "tools/doctor.h"

#include <memory>

#include "engine/reactor/shard_threads.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/terminal.h"

namespace millrace::tools {
namespace {

struct DoctorFlags {
  std::string folder = ".";
  OutputFormat format = OutputFormat::table;
};

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::good:
      return "good";
    case Verdict::slower:
      return "slower";
    case Verdict::bad:
      return "bad";
  }
  return "";
}

std::string text_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text += fmt::format("{:<6}  {:<16}  {}\n", name(finding.verdict), finding.what, finding.value);
    if (!finding.meaning.empty()) text += fmt::format("{:<26}{}\n", "", finding.meaning);
  }
  return text;
}

Json json_of(const std::vector<Finding>& findings) {
  Json rows = Json::array();
  for (const Finding& finding : findings) {
    rows.push_back({{"what", finding.what},
                    {"verdict", name(finding.verdict)},
                    {"value", finding.value},
                    {"meaning", finding.meaning},
                    {"measured", finding.measured}});
  }
  return rows;
}

int show(const DoctorFlags& flags) {
  const std::vector<Finding> findings = examine(flags.folder);
  write_output(flags.format == OutputFormat::json ? json_text(json_of(findings)) : text_of(findings));
  for (const Finding& finding : findings) {
    if (finding.verdict == Verdict::bad) return k_exit_unhealthy;
  }
  return k_exit_ok;
}

}  // namespace

void add_doctor(CLI::App& program, Run& run) {
  CLI::App& command =
      *program.add_subcommand("doctor", "Say what this machine offers, and what each missing thing costs");
  const auto flags = std::make_shared<DoctorFlags>();
  command
      .add_option("--data", flags->folder,
                  "Examine the disk under this folder; a small file is written there and removed")
      ->type_name("DIR")
      ->capture_default_str();
  add_output_format(command, flags->format);
  command.footer(
      "Exit status 10: something here keeps a server from starting.\n\nExample:\n  millrace doctor --data "
      "/var/lib/millrace");
  command.callback([&run, flags] { run = [flags] { return show(*flags); }; });
}

}  // namespace millrace::tools
