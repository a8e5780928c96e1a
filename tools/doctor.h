// What a machine offers to a server, in plain words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/limits.h"
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

// The server that is meant to run here.
struct PlannedServer {
  std::optional<std::string> data{};  // not named: the disk under the working folder is looked at
  std::uint32_t shards = 1;
  std::uint64_t journal_file_size = k_journal_file_size_default;
};

// The disk's part of examine(). Measuring needs io_uring.
enum class DiskWrites : std::uint8_t { measure, leave_out };
[[nodiscard]] std::vector<Finding> examine_disk(const PlannedServer& server, DiskWrites writes);
// Looks at kernel, processors and limits, with as many rings at once as the server has shards, at the data
// folder if it is named, and at the disk under it (or under the nearest above it that exists), where a file
// is written and removed unless the folder is somebody else's.
[[nodiscard]] std::vector<Finding> examine(const PlannedServer& server);

}  // namespace millrace::tools
