// Wrong command lines, files and places: each is refused with its status and a message that helps.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "engine/base/limits.h"
#include "tests/tools/process.h"
#include "tools/exit_codes.h"

namespace millrace::tools::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct BadInput {
  Arguments arguments;
  ExitCode status;
  std::string message;
};
void PrintTo(const BadInput& bad, std::ostream* out) {
  for (const std::string& word : bad.arguments) *out << word << ' ';
}

class BadCommandLine : public testing::TestWithParam<BadInput> {};

TEST_P(BadCommandLine, IsRefused) {
  const Finished finished = run(GetParam().arguments);
  EXPECT_EQ(finished.status, GetParam().status) << finished.errors;
  EXPECT_THAT(finished.errors, HasSubstr(GetParam().message));
  EXPECT_EQ(finished.output, "");
}

INSTANTIATE_TEST_SUITE_P(
    Usage, BadCommandLine,
    testing::Values(
        BadInput{{}, k_exit_usage, "name a command: serve, status, topic"},
        BadInput{{"serv"}, k_exit_usage, "did you mean 'serve'"}, BadInput{{"serve"}, k_exit_usage, "--data"},
        BadInput{{"serve", "--data", "x", "--listen", "nowhere"}, k_exit_usage, "--listen"},
        BadInput{{"serve", "--data", "x", "--shards", "0"}, k_exit_usage, "--shards"},
        BadInput{
            {"serve", "--data", "x", "--journal-file-bytes", "-1"}, k_exit_usage, "--journal-file-bytes"},
        BadInput{{"serve", "--data", "x", "--shards", "251"}, k_exit_usage, "from 1 to 250"},
        BadInput{{"serve", "--data", "x", "--journal-file-bytes", "4KiB"},
                 k_exit_usage,
                 "--journal-file-bytes: '4KiB' is less than 1 MiB"},
        BadInput{{"serve", "--data", "x", "--ballast-bytes", "1TiB"}, k_exit_usage, "--ballast-bytes"},
        BadInput{{"serve", "--data", "x", "--idle-timeout", "0"},
                 k_exit_usage,
                 "--idle-timeout: '0' is less than 1s"},
        BadInput{{"serve", "--data", "x", "--retention-interval", "0"},
                 k_exit_usage,
                 "--retention-interval: '0' is less than 100ms"},
        BadInput{{"serve", "--data", "x", "--retention-interval", "2d"}, k_exit_usage, "is more than 1d"},
        BadInput{{"serve", "--data", "x", "--buffer-bytes", "1MiB"}, k_exit_usage, "--buffer-bytes"},
        BadInput{{"serve", "--data", "x", "--log-level", "loud"},
                 k_exit_usage,
                 "'loud' is not one of debug, info, warning, error"},
        BadInput{{"serve", "--data", "x", "--colour"},
                 k_exit_usage,
                 "there is no flag '--colour'\nTry: millrace serve --help"},
        BadInput{{"serve", "--dat", "x"}, k_exit_usage, "there is no flag '--dat'; did you mean '--data'?"},
        BadInput{{"serve", "--bogus"}, k_exit_usage, "there is no flag '--bogus'\n"},
        BadInput{
            {"produce", "t", "--ack=none"}, k_exit_usage, "there is no flag '--ack'; did you mean '--ack"},
        BadInput{{"bogus"}, k_exit_usage, "there is no command 'bogus'\nTry: millrace --help"},
        BadInput{{"serve", "--data"}, k_exit_usage, "--data needs a value"},
        BadInput{{"serve", "--data", ""}, k_exit_usage, "--data: an empty name names no folder"},
        BadInput{{"doctor", "--data", ""}, k_exit_usage, "--data: an empty name names no folder"},
        BadInput{{"log", "verify", ""}, k_exit_usage, "DIR: an empty name names no folder"},
        BadInput{{"serve", "--data", "x", "--busy-poll", "2s"}, k_exit_usage, "'2s' is more than 1s"},
        BadInput{{"topic", "create", "t", "-p", "1025"}, k_exit_usage, "from 1 to 1024"},
        BadInput{{"serve", "--data", "x", "--data", "y"}, k_exit_usage, "--data is given more than once"},
        BadInput{{"serve", "--data", "x", "--cluster", "7"}, k_exit_usage, "--cluster: '7' is no id"},
        BadInput{{"topic"}, k_exit_usage, "name a command: create"},
        BadInput{{"topic", "create"}, k_exit_usage, "TOPIC"},
        BadInput{{"topic", "creat", "t"}, k_exit_usage, "did you mean 'create'"},
        BadInput{{"log"}, k_exit_usage, "name a command: dump, verify"},
        BadInput{{"log", "verify"}, k_exit_usage, "DIR"},
        BadInput{{"log", "verify", "/nowhere"}, k_exit_failure, "/nowhere"},
        BadInput{{"log", "dump", "/nowhere"}, k_exit_failure, "/nowhere"},
        BadInput{{"log", "dump", "x", "--journals-only", "--segments-only"}, k_exit_usage, "excludes"},
        BadInput{{"topic", "create", "t", "-p", "many"}, k_exit_usage, "--partitions"},
        BadInput{{"topic", "create", "t", "--segment-bytes", "64MB64"}, k_exit_usage, "--segment-bytes"},
        BadInput{{"topic", "create", "t", "--retention-age", "7"}, k_exit_usage, "--retention-age"},
        BadInput{{"topic", "list", "--format", "xml"}, k_exit_usage, "--format"},
        BadInput{{"produce"}, k_exit_usage, "TOPIC"},
        BadInput{{"produce", "t", "--acks", "all"},
                 k_exit_usage,
                 "--acks: 'all' is not one of none, leader, durable"},
        BadInput{{"produce", "t", "-z", "gzip"}, k_exit_usage, "--compression"},
        BadInput{{"produce", "t", "-k", "a", "-K", ":"}, k_exit_usage, "excludes"},
        BadInput{{"produce", "t", "-H", "novalue"}, k_exit_usage, "NAME=VALUE"},
        BadInput{{"produce", "t", "--acked", "%q"}, k_exit_usage, "%q"},
        BadInput{{"produce", "t", "--batch-bytes", "1GiB"}, k_exit_usage, "--batch-bytes"},
        BadInput{{"produce", "t", "--batch-bytes", "1KiB"},
                 k_exit_usage,
                 "--batch-bytes: '1KiB' is less than 4 KiB"},
        BadInput{{"produce", "t", "--in-flight", "100"},
                 k_exit_usage,
                 "--in-flight: 100 is more than 5, which is all that can be sent again without writing "
                 "twice; give "
                 "less, or --no-idempotence as well"},
        BadInput{{"produce", "t", "-s", "localhost"}, k_exit_usage, "--server"},
        BadInput{{"consume"}, k_exit_usage, "TOPIC"},
        BadInput{{"consume", "t", "-o", "soon"}, k_exit_usage, "earliest"},
        BadInput{{"consume", "t", "-o", "-"}, k_exit_usage, "-N for N records before the end"},
        BadInput{{"consume", "t", "-o", "--5"}, k_exit_usage, "-N for N records before the end"},
        BadInput{{"topic", "trim", "t", "--before", "soon"},
                 k_exit_usage,
                 "--before: 'soon' is no place in a topic; give an offset from 0"},
        BadInput{{"consume", "t", "-f", "%"}, k_exit_usage, "%"},
        BadInput{{"consume", "t", "-n", "few"}, k_exit_usage, "--count"},
        BadInput{{"status", "extra"}, k_exit_usage, "'extra' is one argument too many"},
        BadInput{{"--config", "/nowhere/millrace.toml", "version"}, k_exit_usage, "/nowhere/millrace.toml"}));

INSTANTIATE_TEST_SUITE_P(
    NoServer, BadCommandLine,
    testing::Values(
        BadInput{{"status", "-s", "127.0.0.1:1"}, k_exit_unavailable, "127.0.0.1:1"},
        BadInput{{"status", "-s", "no.such.host.invalid:1"},
                 k_exit_unavailable,
                 "cannot resolve the host name \"no.such.host.invalid\""},
        BadInput{{"topic", "list", "-s", "127.0.0.1:1"}, k_exit_unavailable, "127.0.0.1:1"},
        BadInput{{"topic", "create", "t", "-s", "127.0.0.1:1"},
                 k_exit_unavailable,
                 "no connection to 127.0.0.1:1: "},
        BadInput{{"topic", "describe", "t", "-s", "127.0.0.1:1"},
                 k_exit_unavailable,
                 "no connection to 127.0.0.1:1: "},
        BadInput{{"topic", "delete", "t", "-s", "127.0.0.1:1"},
                 k_exit_unavailable,
                 "no connection to 127.0.0.1:1: "},
        BadInput{{"produce", "t", "-s", "127.0.0.1:1"}, k_exit_unavailable, "no connection to 127.0.0.1:1: "},
        BadInput{
            {"consume", "t", "-s", "127.0.0.1:1"}, k_exit_unavailable, "no connection to 127.0.0.1:1: "}));

class BadPlace : public testing::Test {
 protected:
  TestFolder folder_;
};

TEST_F(BadPlace, AFolderThatIsNotOursIsRefusedByName) {
  std::ofstream(folder_.path("somebody's")) << "file";
  const Finished finished = run(serve_arguments(folder_.path("")));
  EXPECT_EQ(finished.status, k_exit_failure);
  EXPECT_THAT(finished.errors, HasSubstr("somebody's"));
}

TEST_F(BadPlace, AFileInPlaceOfAFolderIsRefused) {
  std::ofstream(folder_.path("file")) << "content";
  const Finished finished = run(serve_arguments(folder_.path("file")));
  EXPECT_EQ(finished.status, k_exit_failure);
  EXPECT_THAT(finished.errors, HasSubstr("a part of the path is not a folder"));
}

TEST_F(BadPlace, RequestsThatTheServerRefusesSayWhy) {
  ServerProcess server(folder_.path("data"));
  const auto refusal = [&](const Arguments& arguments, const std::string& input = "") {
    const Finished finished = run(arguments, input, {{"MILLRACE_SERVER", server.address()}});
    EXPECT_EQ(finished.status, k_exit_failure);
    return finished.errors;
  };
  EXPECT_THAT(refusal({"topic", "create", "bad name!"}), HasSubstr("a topic name"));
  EXPECT_THAT(refusal({"topic", "describe", "missing"}), HasSubstr("missing"));
  EXPECT_THAT(refusal({"topic", "delete", "missing"}), HasSubstr("missing"));
  EXPECT_THAT(refusal({"consume", "missing"}), HasSubstr("missing"));
  EXPECT_THAT(refusal({"produce", "t", "--raw", folder_.path("none")}), HasSubstr("none"));
  EXPECT_EQ(run({"topic", "create", "t"}, "", {{"MILLRACE_SERVER", server.address()}}).status, k_exit_ok);
  EXPECT_THAT(refusal({"produce", "t", "-p", "7"}, "a\n"),
              StartsWith("millrace produce: topic t has no partition 7"));
  EXPECT_THAT(refusal({"consume", "t", "-p", "7"}), HasSubstr("no partition 7"));
  EXPECT_THAT(refusal({"produce", "t"}, std::string(9 << 20, 'x')), HasSubstr("longer than"));
  EXPECT_THAT(refusal({"topic", "create", "t"}), HasSubstr("topic 't' exists"));
}

TEST_F(BadPlace, APortThatIsTakenIsNamed) {
  ServerProcess server(folder_.path("data"));
  Arguments arguments = serve_arguments(folder_.path("other"));
  arguments[4] = server.address();
  const Finished second = run(arguments);
  EXPECT_EQ(second.status, k_exit_failure);
  EXPECT_THAT(second.errors, HasSubstr(server.address()));
  EXPECT_FALSE(std::filesystem::exists(folder_.path("other")));
}

TEST_F(BadPlace, AListenerWhoseNameCannotBeResolvedIsNoServer) {
  const Finished refused =
      run(serve_arguments(folder_.path("data"), {"--listen", "no.such.host.invalid:7420"}));
  EXPECT_EQ(refused.status, k_exit_failure);
  EXPECT_THAT(refused.errors, HasSubstr("cannot resolve"));
  EXPECT_FALSE(std::filesystem::exists(folder_.path("data")));
}

TEST_F(BadPlace, AnEmptyVariableTakesTheFlagsDefault) {
  const Finished listed = run({"topic", "list"}, "", {{"MILLRACE_SERVER", ""}, {"MILLRACE_CONFIG", ""}});
  EXPECT_NE(listed.status, k_exit_usage) << listed.errors;
}

// Whatever a start cut or left alone must not need another log level to be seen.
TEST_F(BadPlace, WhatAStartFoundIsSaidWithoutBeingAsked) {
  EXPECT_EQ(ServerProcess(folder_.path("data")).stop(), 0);
  std::filesystem::create_directory(folder_.path("data/groups/00000000000000ff"));
  ServerProcess again(folder_.path("data"));
  EXPECT_EQ(again.stop(), 0);
  EXPECT_THAT(again.process().errors(),
              HasSubstr("warning shard 0: " + folder_.path("data/groups/00000000000000ff")));
}

TEST(Help, EveryCommandHasAnExample) {
  const std::vector<Arguments> commands{{"serve"},
                                        {"status"},
                                        {"topic"},
                                        {"topic", "create"},
                                        {"topic", "list"},
                                        {"topic", "describe"},
                                        {"topic", "alter"},
                                        {"topic", "trim"},
                                        {"topic", "delete"},
                                        {"produce"},
                                        {"consume"},
                                        {"doctor"},
                                        {"log"},
                                        {"log", "dump"},
                                        {"log", "verify"},
                                        {"version"},
                                        {}};
  for (Arguments command : commands) {
    command.emplace_back("--help");
    const Finished help = run(command);
    EXPECT_EQ(help.status, k_exit_ok);
    EXPECT_THAT(help.output, HasSubstr("Example:\n  millrace ")) << command.front();
  }
}

TEST(Help, ComesBeforeAValueThatIsWrong) {
  const Finished flagged = run({"serve", "--listen", "nonsense", "--help"});
  EXPECT_EQ(flagged.status, k_exit_ok) << flagged.errors;
  EXPECT_THAT(flagged.output, HasSubstr("Usage: millrace serve"));
  const Finished set = run({"serve", "--help"}, "", {{"MILLRACE_LISTEN", "nonsense"}});
  EXPECT_EQ(set.output, flagged.output);
  EXPECT_EQ(set.status, k_exit_ok) << set.errors;
}

TEST(Help, SaysWhatAFlagTakesInWords) {
  const std::string help = run({"--help-all"}).output;
  // Where a line is broken is another matter.
  const std::string words = std::regex_replace(help, std::regex("\\s+"), " ");
  for (const char* text : {"--acks none|leader|durable", "[default: durable]", "--format table|json",
                           "--log-level debug|info|warning|error", "--idle-timeout DURATION",
                           "[default: 10m]", "--linger DURATION", "[default: 0s]", "--listen HOST:PORT"}) {
    EXPECT_THAT(words, HasSubstr(text));
  }
  EXPECT_TRUE(std::ranges::all_of(help, [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  EXPECT_THAT(help, testing::Not(HasSubstr("MILLRACE_HELP")));
}

TEST(Sources, FlagWinsOverEnvironmentOverFile) {
  TestFolder folder;
  std::ofstream(folder.path("config.toml")) << "[version]\nformat = \"json\"\n";
  const Arguments plain{"--config", folder.path("config.toml"), "version"};
  const auto is_json = [](const Finished& finished) { return finished.output.starts_with("{"); };
  EXPECT_TRUE(is_json(run(plain)));
  EXPECT_FALSE(is_json(run(plain, "", {{"MILLRACE_FORMAT", "table"}})));
  Arguments flagged = plain;
  flagged.insert(flagged.end(), {"--format", "json"});
  EXPECT_TRUE(is_json(run(flagged, "", {{"MILLRACE_FORMAT", "table"}})));
  EXPECT_TRUE(is_json(run({"version"}, "", {{"MILLRACE_CONFIG", folder.path("config.toml")}})));
}

TEST(Doctor, SaysWhatTheMachineOffers) {
  TestFolder folder;
  const Finished finished = run({"doctor", "--data", folder.path(""), "--format", "json"});
  EXPECT_EQ(finished.status, k_exit_ok) << finished.output;
  std::set<std::string> found;
  for (const auto& row : nlohmann::json::parse(finished.output)) found.insert(row["what"]);
  EXPECT_THAT(found,
              testing::IsSupersetOf({"kernel", "processors", "io_uring", "file system", "free space",
                                     "direct I/O", "sync method", "durable writes", "registered memory"}));
  EXPECT_THAT(run({"doctor", "--data", folder.path("")}).output, HasSubstr("4 KiB in "));
}

TEST(Doctor, TellsWhatSoManyShardsTake) {
  TestFolder folder;
  const auto measured = [&](const char* shards) {
    const Finished finished =
        run({"doctor", "--data", folder.path(""), "--shards", shards, "--format", "json"});
    std::map<std::string, nlohmann::json> found;
    for (const auto& row : nlohmann::json::parse(finished.output)) found[row["what"]] = row["measured"];
    return found;
  };
  auto one = measured("1"), three = measured("3");
  EXPECT_EQ(one["registered memory"]["wanted_bytes"], 8 << 20);
  EXPECT_EQ(three["registered memory"]["wanted_bytes"], 24 << 20);
  EXPECT_EQ(one["open files"]["wanted"], k_connections_max + k_partitions_max);
  EXPECT_EQ(three["open files"]["wanted"], 3 * (k_connections_max + k_partitions_max));
  EXPECT_EQ(one["free space"]["needed_bytes"], (4 * 64 + 16) << 20);
  EXPECT_EQ(three["free space"]["needed_bytes"], (3 * 4 * 64 + 16) << 20);
}

TEST(Doctor, AFolderThatTheServerWouldMakeIsLookedForAbove) {
  TestFolder folder;
  const Finished finished = run({"doctor", "--data", folder.path("not/yet")});
  EXPECT_EQ(finished.status, k_exit_ok);
  EXPECT_THAT(finished.output, HasSubstr("does not exist yet; looked at " + folder.path("").substr(0, 5)));
  EXPECT_FALSE(std::filesystem::exists(folder.path("not")));
}

TEST(Doctor, SaysOfAFolderWhatServeSays) {
  TestFolder folder;
  const auto errors_of_serve = [&](const std::string& data) {
    const Finished served = run(serve_arguments(folder.path(data)));
    EXPECT_EQ(served.status, k_exit_failure);
    return served.errors.substr(served.errors.find(folder.path(data)));  // behind "millrace serve: "
  };
  std::filesystem::create_directory(folder.path("foreign"));
  std::ofstream(folder.path("foreign/somebody's")) << "file";
  std::filesystem::create_directory(folder.path("identity"));
  std::ofstream(folder.path("identity/identity")) << "somebody's, too";
  for (const char* data : {"foreign", "identity"}) {
    const Finished finished = run({"doctor", "--data", folder.path(data)});
    EXPECT_EQ(finished.status, k_exit_unhealthy);
    EXPECT_THAT(finished.output, HasSubstr(errors_of_serve(data)));
    EXPECT_THAT(finished.output, HasSubstr("a server does not start here"));
  }
  EXPECT_EQ(ServerProcess(folder.path("ours")).stop(), 0);
  EXPECT_EQ(run({"doctor", "--data", folder.path("ours")}).status, k_exit_ok);
}

// The working folder of a shell holds this and that; nobody has said that a server shall have it.
TEST(Doctor, WithoutAFolderItLooksAtTheDiskAlone) {
  const Finished finished = run({"doctor"});
  EXPECT_EQ(finished.status, k_exit_ok) << finished.output;
  EXPECT_THAT(finished.output, testing::Not(HasSubstr("data folder")));
}

TEST(Doctor, AFolderThatCannotBeWrittenIsUnhealthy) {
  const Finished finished = run({"doctor", "--data", "/proc/millrace"});
  EXPECT_EQ(finished.status, k_exit_unhealthy);
  EXPECT_THAT(finished.output, HasSubstr("a server does not start here"));
}

TEST(Version, NamesProgramCompilerAndLibraries) {
  const auto version = nlohmann::json::parse(run({"version", "--format", "json"}).output);
  EXPECT_EQ(version["millrace"], "0.1.0");
  for (const char* name : {"compiler", "kernel", "CLI11", "fmt", "spdlog", "liburing", "zstd"})
    EXPECT_TRUE(version.contains(name)) << name;
}

}  // namespace
}  // namespace millrace::tools::test
