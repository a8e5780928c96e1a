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

}  // namespace
}  // namespace millrace::tools::test
