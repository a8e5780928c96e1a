// The reference for the device: fio, with io_uring, direct, one access at a time; writes are synced
// (O_DSYNC).
#pragma once

#include <cstdint>
#include <string>

#include "bench/support/files.h"
#include "bench/support/samples.h"
#include "engine/base/error.h"

namespace millrace::bench {

enum class FioAccess { write, read };

struct FioJob {
  FioAccess access = FioAccess::write;
  std::string file;  // from make_file(); accessed in sequence from its beginning
  std::uint64_t file_size = 0;
  std::uint64_t block_size = 0;
  // Seconds, over and over the file; 0: once through it, which is what a file that is only allocated is good
  // for.
  double seconds = 0;
  // Idle time before each access.
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
// Makes the file first, and goes once through it if it is only allocated, whatever job.seconds says.
[[nodiscard]] Result<FioResult> run_fio_on_new_file(FioJob job, FileState state);

}  // namespace millrace::bench
