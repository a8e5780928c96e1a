// The scripts of tools/ and the Dockerfile, as far as they can be run without building the tree once more.
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/tools/process.h"
#include "tools/exit_codes.h"

namespace millrace::tools::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

const fs::path k_root = MILLRACE_SOURCE_DIR;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return std::move(text).str();
}

// A tree that holds one fuzz target and no build.
TEST(FuzzScript, SaysThatATargetIsNotBuilt) {
  TestFolder folder;
  fs::create_directories(folder.path("fuzz/corpus/footer"));
  fs::create_directories(folder.path("tools"));
  for (const char* script : {"tools/fuzz", "tools/common.sh"})
    fs::copy_file(k_root / script, folder.path(script));
  const Finished finished = run({"--as-built", "footer", "1"}, "", {}, folder.path("tools/fuzz"));
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.errors, HasSubstr("footer is not built"));
  EXPECT_THAT(finished.errors, HasSubstr("tools/fuzz footer 1"));
  EXPECT_THAT(finished.errors, Not(HasSubstr("broke")));
}

// Empty lines take most: a record of nothing is not nothing.
TEST(QuickstartScript, ReckonsWithWhatShortLinesTake) {
  TestFolder folder;
  const std::string lines(300'000, '\n');
  std::ofstream(folder.path("lines")) << lines;
  // The function alone, out of the script.
  const Finished reckoned = run({"-c", "eval \"$(grep '^records_size()' \"$0\")\"; records_size \"$1\"",
                                 k_root / "tools/quickstart", folder.path("lines")},
                                "", {}, "/bin/bash");
  ASSERT_EQ(reckoned.status, 0) << reckoned.errors;
  ServerProcess server(folder.path("data"));
  ASSERT_EQ(run({"produce", "t", "-s", server.address()}, lines).status, k_exit_ok);
  const Finished described = run({"topic", "describe", "t", "--format", "json", "-s", server.address()});
  const std::uint64_t stored =
      nlohmann::json::parse(described.output)["partition_states"][0]["bytes"].get<std::uint64_t>();
  EXPECT_GT(stored, lines.size());
  EXPECT_GE(std::stoull(reckoned.output), stored);
}

// A home made by useradd is filled from /etc/skel, and a server refuses a folder that holds such files.
TEST(Dockerfile, MakesAnEmptyDataFolderThatTheServersUserOwns) {
  const std::string text = text_of(k_root / "Dockerfile");
  EXPECT_THAT(text, HasSubstr("--no-create-home millrace"));
  EXPECT_THAT(text, HasSubstr("install --directory --owner=millrace --group=millrace"));
  EXPECT_THAT(text, Not(HasSubstr(" --create-home")));
}

}  // namespace
}  // namespace millrace::tools::test
