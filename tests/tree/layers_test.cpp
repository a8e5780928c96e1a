// The tree keeps its own rules (source_rules.h): first that the rules see what is planted, then that the tree
// is clean.
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/tree/source_rules.h"

namespace millrace::tree {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(SourceRules, AnIncludeThatPointsUpIsFound) {
  EXPECT_THAT(violations("engine/base/ids.h", "#pragma once\n#include \"engine/log/segment.h\"\n"),
              ElementsAre(HasSubstr("engine/base/ids.h:2: \"engine/log/segment.h\" lies in a layer above")));
  EXPECT_THAT(violations("engine/reactor/task.h", "#include \"engine/wire/frame.h\""),
              ElementsAre(HasSubstr("above")));
  EXPECT_THAT(violations("engine/log/log.cpp", "  #  include \"net/server.h\"\n"),
              ElementsAre(HasSubstr("above")));
  EXPECT_THAT(violations("net/server.cpp", "#include \"tools/serve.h\"\n"), ElementsAre(HasSubstr("above")));
  EXPECT_THAT(violations("net/server.cpp", "#include \"tests/net/fixture.h\"\n"),
              ElementsAre(HasSubstr("above")));
}

TEST(SourceRules, AnIncludeOfTheOwnLayerOrOfOneBelowPasses) {
  EXPECT_THAT(violations("net/server.cpp", "#include \"net/server.h\"\n#include \"engine/log/log.h\"\n"),
              IsEmpty());
  EXPECT_THAT(violations("engine/log/log.h", "#include \"engine/base/ids.h\"\n#include <vector>\n"),
              IsEmpty());
  EXPECT_THAT(violations("bench/append.cpp", "#include \"tools/flags.h\"\n#include <unistd.h>\n"), IsEmpty());
}

TEST(SourceRules, AnIncludeThatIsNotAPathFromTheRootIsFound) {
  EXPECT_THAT(violations("net/server.cpp", "#include \"server.h\"\n"),
              ElementsAre(HasSubstr("from the root")));
  EXPECT_THAT(violations("tools/serve.cpp", "#include \"serve.h\"\n"),
              ElementsAre(HasSubstr("from the root")));
  EXPECT_THAT(violations("engine/base/ids.h", "#include \"engine/base/../log/log.h\"\n"),
              ElementsAre(HasSubstr("from the root")));
}

TEST(SourceRules, ASystemHeaderOutsideTheReactorIsFound) {
  for (const std::string_view header :
       {"unistd.h", "sys/socket.h", "liburing.h", "thread", "linux/fs.h", "fstream"}) {
    const std::string text = fmt::format("#include <{}>\n", header);
    EXPECT_THAT(violations("engine/log/journal.cpp", text),
                ElementsAre(HasSubstr("belongs to engine/reactor")))
        << header;
    EXPECT_THAT(violations("net/server.cpp", text), ElementsAre(HasSubstr("belongs to engine/reactor")))
        << header;
    EXPECT_THAT(violations("engine/reactor/uring_reactor.cpp", text), IsEmpty()) << header;
    EXPECT_THAT(violations("tools/serve.cpp", text), IsEmpty()) << header;
  }
}

TEST(SourceRules, AClockOrEntropyFromAnAllowedHeaderIsFound) {
  const std::string clock = "#include <chrono>\nauto t = std::chrono::steady_clock::now();\n";
  EXPECT_THAT(violations("net/server.cpp", clock), ElementsAre(HasSubstr("net/server.cpp:2: steady_clock")));
  EXPECT_THAT(violations("engine/base/random.cpp", "std::random_device d;"),
              ElementsAre(HasSubstr("random_device")));
  EXPECT_THAT(violations("engine/reactor/clock.cpp", clock), IsEmpty());
}

TEST(SourceRules, StandardErrorIsForTheFailedCheckAlone) {
  EXPECT_THAT(violations("engine/base/check.cpp", "#include <cstdio>\n"), IsEmpty());
  EXPECT_THAT(violations("engine/base/error.cpp", "#include <cstdio>\n"), ElementsAre(HasSubstr("<cstdio>")));
}

TEST(SourceRules, ThreadLocalOutsideTheFrameAllocatorIsFound) {
  const std::string text = "static thread_local int count = 0;\n";
  EXPECT_THAT(violations("engine/reactor/task.h", text), ElementsAre(HasSubstr("thread_local")));
  EXPECT_THAT(violations("tools/serve.cpp", text), ElementsAre(HasSubstr("thread_local")));
  EXPECT_THAT(violations("engine/reactor/frame_allocator.cpp", text), IsEmpty());
}

TEST(SourceRules, CommentsAndLiteralsDoNotCount) {
  EXPECT_THAT(
      violations("net/a.cpp", "// #include \"tools/a.h\"\n/* thread_local\n#include <thread> */ int a;\n"),
      IsEmpty());
  EXPECT_THAT(
      violations("net/a.cpp", "auto a = \"thread_local\"; auto b = R\"x(\n#include <thread>\n\")x\";\n"),
      IsEmpty());
  EXPECT_THAT(violations("net/a.cpp", "int thread_locals = 1;\n"), IsEmpty());
}

TEST(SourceRules, WhatFollowsACommentOrALiteralIsStillSeen) {
  EXPECT_THAT(violations("net/a.cpp", "/* a */ thread_local int a = 1'000; // b\n"),
              ElementsAre(HasSubstr(":1: thread_local")));
  EXPECT_THAT(violations("net/a.cpp", "char c = '\"'; thread_local int a;\n"),
              ElementsAre(HasSubstr(":1: thread_local")));
  EXPECT_THAT(violations("net/a.cpp", "auto s = \"\\\"\"; thread_local int a;\n"),
              ElementsAre(HasSubstr(":1: thread_local")));
  EXPECT_THAT(violations("net/a.cpp", "int n = 1'000;\nthread_local int a;\nint m = 2'000;\n"),
              ElementsAre(HasSubstr(":2: thread_local")));
}

bool is_source(const fs::path& path) {
  return path.extension() == ".h" || path.extension() == ".cpp";
}

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return std::move(text).str();
}

TEST(Tree, EverySourceFileKeepsTheRules) {
  const fs::path root = MILLRACE_SOURCE_DIR;
  std::vector<std::string> found;
  for (const std::string_view folder : {"engine/base", "engine/reactor", "engine/wire", "engine/log", "net",
                                        "tools", "bench", "fuzz", "tests", "examples"}) {
    if (!fs::exists(root / folder)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!is_source(entry.path())) continue;
      const std::string path = entry.path().lexically_relative(root).generic_string();
      for (std::string& violation : violations(path, text_of(entry.path())))
        found.push_back(std::move(violation));
    }
  }
  EXPECT_THAT(found, IsEmpty());
}

TEST(Tree, EveryFolderOfTheEngineIsALayer) {
  const fs::path engine = fs::path(MILLRACE_SOURCE_DIR) / "engine";
  for (const fs::directory_entry& entry : fs::directory_iterator(engine)) {
    const std::string path = fmt::format("engine/{}/any.h", entry.path().filename().string());
    const std::string include = fmt::format("#include \"{}\"\n", path);
    EXPECT_THAT(violations("tests/tree/any.cpp", include), IsEmpty())
        << "a layer that source_rules.cpp does not list";
  }
}

}  // namespace
}  // namespace millrace::tree
