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

using Flags = std::set<std::string>;
using FlagsByCommand = std::map<std::string, Flags>;

// All that `pattern`'s first group finds.
Flags found(const std::string& text, const std::regex& pattern) {
  Flags flags;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at)
    flags.insert(at->str(1));
  return flags;
}

// By "topic create"; the program's own by "millrace".
FlagsByCommand flags_of_help() {
  FlagsByCommand all;
  std::istringstream help(run({"--help-all"}).output);
  std::string command;
  const std::regex usage("Usage: millrace((?: [a-z]+)*).*"), flag("  (?:-., |    )(--[a-z-]+).*");
  for (std::string line; std::getline(help, line);) {
    std::smatch match;
    if (std::regex_match(line, match, usage)) {
      command = match.length(1) == 0 ? "millrace" : match.str(1).substr(1);
    } else if (std::regex_match(line, match, flag)) {
      all[command].insert(match.str(1));
    }
  }
  return all;
}

// The first column of the tables below each "### `topic create`".
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
      all[command].merge(found(line.substr(0, line.find(" | ")), flag));
    }
  }
  return all;
}

TEST(CliPage, ListsTheFlagsOfEveryCommandAndNoOthers) {
  FlagsByCommand of_help = flags_of_help(), of_page = flags_of_page();
  EXPECT_GE(of_help.size(), 15u);
  const Flags common = of_page.extract("Of several commands").mapped();
  EXPECT_EQ(common, (Flags{"--help", "--server", "--format"}));
  for (auto& [command, flags] : of_help) {
    for (const std::string& flag : common) flags.erase(flag);
    EXPECT_EQ(of_page[command], flags) << command;
  }
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
