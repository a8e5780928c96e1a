// What a machine offers to a server, in plain words.
#pragma once

#include <string>
#include <vector>

#include "tools/table.h"

namespace millrace::tools {

enum class Verdict {
  good,
  slower,  // the server runs without it, at a price that `meaning` names
  bad,     // the server does not start
};

struct Finding {
  std::string what;  // "io_uring"
  Verdict verdict = Verdict::good;
  std::string value;               // what was found
  std::string meaning;             // what a lack costs, and what to do; empty where nothing lacks
  Json measured = Json::object();  // the numbers in `value`, for programs
};

// Looks at kernel, processors and limits, and at the disk under `folder`, where a file is written and
// removed.
[[nodiscard]] std::vector<Finding> examine(const std::string& folder);

}  // namespace millrace::tools
