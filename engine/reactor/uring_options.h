// What a UringReactor is asked for, and what the kernel gave it.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/error.h"
#include "engine/base/time.h"

namespace millrace {

struct UringOptions {
  // Operations that one turn can submit, a power of two; more wait for the next turn.
  std::uint32_t entries = 1024;
  // Memory registered with the kernel, out of which buffers up to 1 MiB come first; less where the kernel
  // gives less. 8 MiB is the usual limit of locked memory (ulimit -l), which rings and all shards share. 0:
  // none.
  std::uint64_t registered_bytes = std::uint64_t{8} << 20;
  // Kernel threads for what cannot be done without blocking: on files, and on everything else (splices to
  // slow sockets).
  std::uint32_t file_workers = 4;
  std::uint32_t other_workers = 16;
  // For so long after the last completion or message a turn looks for the next one instead of sleeping, as
  // long as nobody else wants the processor: waking up takes longer than what most waits last. 0: never.
  Duration busy_poll{0};
  // SIGINT and SIGTERM come out of wait_signal(); otherwise they end the process as usual. Whoever sets it
  // awaits the signal.
  bool signals = false;

  // Each makes the reactor do without something, as on a kernel or file system that lacks it.
  bool no_direct = false;            // O_DIRECT
  bool no_dsync = false;             // RWF_DSYNC
  bool no_fixed_buffers = false;     // registered memory
  bool no_registered_files = false;  // a file table, which lets the lock outlast writes in flight
  bool no_msg_ring = false;          // waking another shard through its ring
  bool no_defer_taskrun = false;     // completions run only when asked for
  bool no_single_issuer = false;
  bool no_coop_taskrun = false;
  bool no_registered_ring = false;  // the ring's own descriptor, registered
  bool no_resize_opcode = false;    // IORING_OP_FTRUNCATE
  bool no_splice = false;           // IORING_OP_SPLICE: there are no transfers then
  bool no_fallocate = false;        // reserving space
};

struct UringFeatures {
  bool single_issuer = false;
  bool defer_taskrun = false;
  bool coop_taskrun = false;
  bool registered_ring = false;
  bool registered_files = false;
  bool fixed_buffers = false;
  bool msg_ring = false;
  bool resize_opcode = false;
  bool splice = false;
  bool worker_limits = false;
  std::uint32_t entries = 0;
  std::uint32_t completion_entries = 0;
  std::uint64_t registered_bytes = 0;
  std::string fixed_buffers_refused;  // why the memory is less than was wanted, or none
};

// Sets up a ring as a reactor would, says what came of it, and takes it down: for `millrace doctor`.
// Errors: permission_denied or unsupported where io_uring itself is refused, with what to do about it.
[[nodiscard]] Result<UringFeatures> probe_uring(const UringOptions& options);

}  // namespace millrace
