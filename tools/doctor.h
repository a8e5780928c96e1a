// What a machine offers to a server, in plain words.
#pragma once

#include <cstdint>
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

// The disk's part of examine(). Measuring needs io_uring.
enum class DiskWrites : std::uint8_t { measure, leave_out };
[[nodiscard]] std::vector<Finding> examine_disk(const std::string& data, DiskWrites writes);
// Looks at kernel, processors and limits, and at the disk under the folder `data` (or the nearest above it
// that exists), where a file is written and removed.
[[nodiscard]] std::vector<Finding> examine(const std::string& data);

}  // namespace millrace::tools
