// Exit statuses of every command; scripts may rely on them (docs/cli.md lists them for users).
#pragma once

#include "engine/base/error.h"

namespace millrace::tools {

enum ExitCode : int {
  k_exit_ok = 0,
  k_exit_failure = 1,      // the command was understood and did not succeed; the message says why
  k_exit_usage = 2,        // the command line, the environment or the config file is wrong
  k_exit_unavailable = 3,  // no server could be reached
  k_exit_unknown = 4,      // a request was sent and no answer came: it may or may not have happened
  k_exit_sync_failed = 5,  // serve: the device failed a sync; look at it before the next start
  k_exit_unhealthy = 10,   // log verify found damage; doctor found what keeps a server from starting
  k_exit_signal = 128,     // plus the signal's number: told to stop before it was done
};

// Of a command that asks a server for something.
[[nodiscard]] constexpr ExitCode exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::unavailable:
      return k_exit_unavailable;
    case ErrorCode::connection_lost:
    case ErrorCode::timed_out:
    case ErrorCode::sync_failed:
      return k_exit_unknown;
    default:
      return k_exit_failure;
  }
}
// Of serve, which asks nobody: whatever keeps it from running is a failure, also a port that is taken, but
// for the one that must not be answered by a restart.
[[nodiscard]] constexpr ExitCode serve_exit_code_of(ErrorCode code) {
  return code == ErrorCode::sync_failed ? k_exit_sync_failed : k_exit_failure;
}

}  // namespace millrace::tools
