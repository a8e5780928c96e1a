// millrace log dump|verify
#include <memory>
#include <utility>
#include <variant>

#include "engine/log/dump.h"
#include "engine/log/verify.h"
#include "engine/reactor/shard_threads.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/log_sink.h"
#include "tools/terminal.h"

namespace millrace::tools {
namespace {

// Lines leave when this much has gathered.

struct LogFlags {
  std::string folder;
  OutputFormat format = OutputFormat::table;
  bool journals_only = false;
  bool segments_only = false;
  bool all_commits = false;
  std::optional<std::uint64_t> group;
};
using Flags = std::shared_ptr<LogFlags>;

Json json_of(const DumpItem& item) {
  Json json{{"kind", item.kind}, {"file", item.file}, {"position", item.position}};
  for (const auto& [name, value] : item.fields) {
    std::visit([&](const auto& plain) { json[name] = plain; }, value);
  }
  return json;
}

// An item a line, in both formats, so that a folder of any size can be read as it comes.
Task<int> dump(const LogFlags& flags, Reactor& reactor) {
  DumpOptions options;
  options.journals = !flags.segments_only;
  options.segments = !flags.journals_only;
  options.all_commits = flags.all_commits;
  if (flags.group) options.group = GroupId{*flags.group};
  std::string out;
  const auto dumped = co_await dump_folder(reactor, flags.folder, options, [&](const DumpItem& item) {
    out += flags.format == OutputFormat::json
               ? json_of(item).dump(-1, ' ', false, Json::error_handler_t::replace)
               : to_line(item);
    out.push_back('\n');
    if (out.size() < k_output_size) return DumpNext::go_on;
    const Output output = write_output(std::exchange(out, {}));
    return output == Output::open ? DumpNext::go_on : DumpNext::stop;
  });
  write_output(out);
  co_return dumped ? static_cast<int>(k_exit_ok) : report("log dump", dumped.error());
}

Json json_of(const VerifyReport& report) {
  Json findings = Json::array();
  for (const auto& finding : report.findings) {
    findings.push_back(
        {{"file", finding.file}, {"position", finding.position}, {"meaning", finding.meaning}});
  }
  return {{"whole", report.is_whole()},
          {"journals", report.journals},
          {"commits", report.commits},
          {"journal_records", report.journal_records},
          {"journal_entries", report.journal_entries},
          {"groups", report.groups},
          {"segments", report.segments},
          {"footers", report.footers},
          {"entries", report.entries},
          {"entry_bytes", report.entry_bytes},
          {"findings", findings},
          {"notes", report.notes}};
}

std::string text_of(const VerifyReport& report) {
  std::string text = list_of(json_of(report));
  for (const std::string& note : report.notes) text += fmt::format("note: {}\n", note);
  for (const auto& finding : report.findings) {
    text += fmt::format("DAMAGE {} at {}: {}\n", finding.file, finding.position, finding.meaning);
  }
  text += report.is_whole() ? "everything that is stored is whole\n"
                            : fmt::format("{} damaged place{}; put what is damaged back from a copy\n",
                                          report.findings.size(), report.findings.size() == 1 ? "" : "s");
  return text;
}

Task<int> verify(const LogFlags& flags, Reactor& reactor) {
  const auto verified = co_await verify_folder(reactor, flags.folder);
  if (!verified) co_return report("log verify", verified.error());
  write_output(flags.format == OutputFormat::json ? json_text(json_of(*verified)) : text_of(*verified));
  co_return verified->is_whole() ? k_exit_ok : k_exit_unhealthy;
}

using Verb = Task<int> (*)(const LogFlags&, Reactor&);

CLI::App& add_verb(CLI::App& log, Run& run, const Flags& flags, const std::string& name,
                   const std::string& what, Verb verb) {
  CLI::App& command = *log.add_subcommand(name, what);
  add_folder(command, "DIR", flags->folder, "The data folder")->required();
  add_output_format(command, flags->format);
  command.callback([&run, flags, name, verb] {
    run = [flags, name, verb] {
      ShardsOptions options;
      options.log = make_log_sink(LogLevel::warning);
      const auto ended = run_uring(options, [&](UringReactor& reactor) { return verb(*flags, reactor); });
      return ended ? *ended : report("log " + name, ended.error());
    };
  });
  return command;
}

}  // namespace

void add_log(CLI::App& program, Run& run) {
  CLI::App& log =
      *program.add_subcommand("log", "Look into a data folder, without a server and without writing");
  log.require_subcommand(1);
  log.footer("Example:\n  millrace log verify /var/lib/millrace");
  const auto flags = std::make_shared<LogFlags>();

  CLI::App& dumps = add_verb(log, run, flags, "dump", "Print what a data folder holds, an item a line", dump);
  CLI::Option* journals = dumps.add_flag("--journals-only", flags->journals_only, "Leave out the segments");
  dumps.add_flag("--segments-only", flags->segments_only, "Leave out the journals")->excludes(journals);
  dumps.add_flag("--all-commits", flags->all_commits,
                 "Commits of earlier starts, too, which no start reads any more");
  add_number(
      dumps, "--group", flags->group,
      "This group alone, and the commits that have records of it (topic describe names a partition's)");
  dumps.footer(
      "With --format json each line is an object.\n\nExample:\n  millrace log dump /var/lib/millrace "
      "--segments-only");

  CLI::App& verifies =
      add_verb(log, run, flags, "verify", "Read everything in a data folder and name every damage", verify);
  verifies.footer(
      "Exit status 10: something is damaged; file, position and meaning are named.\n\nExample:\n  millrace "
      "log verify /var/lib/millrace");
}

}  // namespace millrace::tools
