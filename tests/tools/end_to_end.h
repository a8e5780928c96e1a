// What tests of the real binary begin with: a server on a folder of its own, and clients that find it.
#pragma once

#include <gtest/gtest.h>
#include <sstream>
#include <string>
#include <vector>

#include "tests/tools/process.h"
#include "tools/exit_codes.h"

namespace millrace::tools::test {

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class EndToEnd : public testing::Test {
 protected:
  Finished millrace(const Arguments& arguments, const std::string& input = "") {
    return run(arguments, input, {{"MILLRACE_SERVER", server_.address()}});
  }
  // Runs it and demands success.
  std::string output_of(const Arguments& arguments, const std::string& input = "") {
    const Finished finished = millrace(arguments, input);
    EXPECT_EQ(finished.status, k_exit_ok) << finished.errors;
    return finished.output;
  }
  std::string consume(const std::string& topic, const Arguments& more = {}) {
    Arguments all{"consume", topic, "-e"};
    all.insert(all.end(), more.begin(), more.end());
    return output_of(all);
  }

  TestFolder folder_;
  ServerProcess server_{folder_.path("data")};
};

}  // namespace millrace::tools::test
