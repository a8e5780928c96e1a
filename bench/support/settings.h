// What the programs under bench/ have in common on their command lines, and how they run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "bench/support/report.h"
#include "engine/base/error.h"

namespace millrace::bench {

struct Settings {
  std::string folder = ".";  // where the measured files live, in a folder of their own that goes at the end
  std::string json;          // file for the report; empty: none
  std::string millrace;      // the server's binary
  std::uint32_t rounds = 3;
  double seconds = 2;  // of each measurement in a round
  // Processors: the one that writes to the device (engine, server, fio), and the one that asks.
  int server_cpu = 0;
  int client_cpu = 0;
};

using Measure = std::function<Result<void>(const Settings&, Report&)>;

// A flag that a program has beside those of Settings.
struct OwnFlag {
  std::string name;
  // Where its value goes, and its default. A u64 is a size, such as 8GiB.
  std::variant<std::uint32_t*, double*, std::uint64_t*> value;
  std::string what;
  double least = 1, most = 1e9;  // of a number
};

struct Program {
  std::string name;
  std::string what;     // it measures
  std::string example;  // of its flags
  std::vector<OwnFlag> flags{};
};

// Parses the command line, runs `measure`, prints the report and writes its JSON. The exit status: 0 when
// everything was measured, whether or not targets were met; 1 when not, the reason on standard error; 2 for a
// wrong command line.
int run_program(const Program& program, int argc, char** argv, const Measure& measure);

// Processors that this process could use when this was first called, which run_program() does.
[[nodiscard]] const std::vector<int>& allowed_cpus();
// Keeps the calling thread, and the children it starts, on this processor.
[[nodiscard]] Result<void> stay_on(int cpu);

}  // namespace millrace::bench
