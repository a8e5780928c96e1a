// The reference for writes: fio, with io_uring, direct and synced (O_DSYNC), one write at a time.
#pragma once

#include <cstdint>
#include <string>

#include "bench/support/samples.h"
#include "engine/base/error.h"

namespace millrace::bench {

struct FioJob {
  std::string file;  // from make_file(); sequential writes from its beginning
  std::uint64_t file_size = 0;
  std::uint64_t block_size = 0;
  // Seconds, over and over the file; 0: once through it, which is what a file that is only allocated is good
  // for.
  double seconds = 0;
  // Idle time before each write.
  double pause_us = 0;
  int cpu = 0;
};

struct FioResult {
  Percentiles latency;  // from before the submission to after the completion
  double mean_us = 0;
  double bytes_per_second = 0;
};

// not_found where fio is not installed.
[[nodiscard]] Result<FioResult> run_fio(const FioJob& job);

}  // namespace millrace::bench
