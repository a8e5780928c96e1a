// What the pages say of flags and limits is so.
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "engine/base/limits.h"
#include "engine/base/units.h"
#include "engine/log/identity.h"
#include "engine/log/journal_room.h"
#include "tests/tools/process.h"

namespace millrace::tools::test {
namespace {

using testing::HasSubstr;

std::string page(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(std::string(MILLRACE_SOURCE_DIR "/docs/") + name).rdbuf();
  return std::move(text).str();
}

// What is said of each flag.
using Flags = std::map<std::string, std::string>;
using FlagsByCommand = std::map<std::string, Flags>;

std::set<std::string> names_of(const Flags& flags) {
  std::set<std::string> names;
  for (const auto& [name, text] : flags) names.insert(name);
  return names;
}

// By "topic create"; the program's own by "millrace".
FlagsByCommand flags_of_help() {
  FlagsByCommand all;
  std::istringstream help(run({"--help-all"}).output);
  std::string command;
  std::string* text = nullptr;  // of the flag whose lines these are
  const std::regex usage("Usage: millrace((?: [a-z]+)*).*"), flag("  (?:-., |    )(--[a-z-]+)(.*)"),
      more(" {30}(.*)");
  for (std::string line; std::getline(help, line);) {
    std::smatch match;
    if (std::regex_match(line, match, usage)) {
      command = match.length(1) == 0 ? "millrace" : match.str(1).substr(1);
    } else if (std::regex_match(line, match, flag)) {
      text = &all[command][match.str(1)];
      *text = match.str(2);
    } else if (text != nullptr && std::regex_match(line, match, more)) {
      *text += " " + match.str(1);
    } else {
      text = nullptr;
    }
  }
  return all;
}

// The tables below each "### `topic create`": the flags of the first column, and the second one.
FlagsByCommand flags_of_page() {
  FlagsByCommand all;
  std::istringstream text(page("cli.md"));
  std::string command;
  const std::regex heading("### (?:`(.*)`|(Of several commands))"), flag("`(--[a-z-]+)[^`]*`");
  for (std::string line; std::getline(text, line);) {
    std::smatch match;
    if (std::regex_match(line, match, heading)) {
      command = match.str(1) + match.str(2);
    } else if (line.starts_with("## ")) {
      command.clear();
    } else if (!command.empty() && line.starts_with("| ")) {
      const std::size_t end = line.find(" | ");
      const std::string names = line.substr(0, end);
      for (std::sregex_iterator at(names.begin(), names.end(), flag), last; at != last; ++at)
        all[command][at->str(1)] = line.substr(end);
    }
  }
  return all;
}

TEST(CliPage, ListsTheFlagsOfEveryCommandAndNoOthers) {
  FlagsByCommand of_help = flags_of_help(), of_page = flags_of_page();
  EXPECT_GE(of_help.size(), 15u);
  const std::set<std::string> common = names_of(of_page.extract("Of several commands").mapped());
  EXPECT_EQ(common, (std::set<std::string>{"--help", "--server", "--format"}));
  for (auto& [command, flags] : of_help) {
    for (const std::string& flag : common) flags.erase(flag);
    EXPECT_EQ(names_of(of_page[command]), names_of(flags)) << command;
  }
}

// "(64 MiB)", "(`.`)", "(half of the processors, 8 at most)" or "0s (default)".
bool says_default(const std::string& text, const std::string& value) {
  for (const std::string& said :
       {"(" + value + ")", "(`" + value + "`)", "(" + value + ", ", value + " (default)"}) {
    if (text.find(said) != std::string::npos) return true;
  }
  return false;
}

TEST(CliPage, HasTheDefaultsThatTheHelpHas) {
  FlagsByCommand of_page = flags_of_page();
  const Flags common = of_page.extract("Of several commands").mapped();
  // Without what depends on the machine: "[default: half of the processors, here 4]".
  const std::regex stands_there("\\[default: (.*?)(?:, here [0-9]+)?\\]");
  std::size_t compared = 0;
  for (const auto& [command, flags] : flags_of_help()) {
    of_page[command].insert(common.begin(), common.end());
    for (const auto& [flag, text] : flags) {
      std::smatch match;
      const std::string& said = of_page[command][flag];
      if (!std::regex_search(text, match, stands_there) || said.find("as in `") != std::string::npos)
        continue;
      EXPECT_TRUE(says_default(said, match.str(1)))
          << command << ' ' << flag << ": " << match.str(1) << " is not in: " << said;
      ++compared;
    }
  }
  EXPECT_GE(compared, 35u);
}

TEST(OperationsPage, HasTheLimitsThatAreInForce) {
  const std::string text = page("operations.md");
  const auto row = [&](const std::string& what, const std::string& bound) {
    EXPECT_THAT(text, HasSubstr("| " + what + " | " + bound));
  };
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  const auto time = [](std::uint32_t ms) { return format_duration(std::chrono::milliseconds(ms)); };
  row("shards of a server", number(k_identity_files_max / k_journal_files) + " |");
  row("partitions of a topic", number(k_partitions_max) + " |");
  row("partitions of a shard", number(groups_max(k_journal_file_size_min)) + " with journal files of " +
                                   format_size(k_journal_file_size_min));
  row("name of a topic", number(k_topic_name_size_max) + " characters");
  row("record batch, and so a record", format_size(k_batch_size_max) + " |");
  row("what a compressed batch may hold", format_size(k_batch_inflated_size_max) + " |");
  row("segment file", format_size(k_segment_size_min) + " to " + format_size(k_segment_size_max) + ", " +
                          format_size(k_segment_size_default) + " by default");
  row("journal file", format_size(k_journal_file_size_min) + " to " + format_size(k_journal_file_size_max) +
                          ", " + format_size(k_journal_file_size_default) + " by default");
  row("connections of a shard", number(k_connections_max) + " |");
  row("requests of a connection under way", number(k_requests_in_flight_max) + " |");
  row("payloads of requests under way, a shard",
      format_size(k_small_request_bytes_max + k_large_request_bytes_max) + " |");
  row("answers that wait to be sent",
      format_size(k_send_queue_max) + " a connection, " + format_size(k_answer_bytes_max) + " a shard");
  row("records that one fetch gives", format_size(k_fetch_size_max) + " |");
  row("connection without a word", time(k_idle_timeout_ms) + " |");
  row("frame or answer that does not move", time(k_transfer_deadline_ms) + ", and what it takes at " +
                                                format_size(k_transfer_rate_min) + " a second");
  row("requests that are taken when a stop begins", time(k_drain_deadline_ms) + " |");
  row("idempotent producers that a partition remembers",
      number(k_producers_max) + ", " + number(k_producer_batches_kept) + " batches of each");
}

}  // namespace
}  // namespace millrace::tools::test
