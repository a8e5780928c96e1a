// millrace doctor: prints what examine() found.
#include "tools/doctor.h"

#include <algorithm>
#include <memory>

#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/start_needs.h"
#include "tools/terminal.h"

namespace millrace::tools {
namespace {

struct DoctorFlags {
  PlannedServer server{.shards = shards_default()};
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

std::string summary_of(const std::vector<Finding>& findings) {
  const auto count = [&](Verdict verdict) {
    return std::ranges::count(findings, verdict, &Finding::verdict);
  };
  if (count(Verdict::bad) != 0) return "a server does not start here: see what is bad\n";
  if (count(Verdict::slower) != 0)
    return "a server starts here, and is slower or less safe than it could be\n";
  return "a server has all it needs here\n";
}

std::string text_of(const std::vector<Finding>& findings) {
  std::size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.what.size());
  std::string text;
  for (const Finding& finding : findings) {
    text += fmt::format("{:<6}  {:<{}}  {}\n", name(finding.verdict), finding.what, width, finding.value);
    if (!finding.meaning.empty()) text += fmt::format("{:{}}{}\n", "", width + 10, finding.meaning);
  }
  return text + summary_of(findings);
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
  const std::vector<Finding> findings = examine(flags.server);
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
  add_folder(command, "--data", flags->server.data,
             "Examine this folder and the disk under it, or where it would be made; a small file is "
             "written there and removed. Without it: the disk under the working folder")
      ->type_name("DIR");
  add_shards(command, flags->server.shards);
  add_journal_file_bytes(command, flags->server.journal_file_size);
  add_output_format(command, flags->format);
  command.footer(
      "Exit status 10: something here keeps a server from starting.\n\nExample:\n  millrace doctor --data "
      "/var/lib/millrace --shards 4");
  command.callback([&run, flags] { run = [flags] { return show(*flags); }; });
}

}  // namespace millrace::tools
