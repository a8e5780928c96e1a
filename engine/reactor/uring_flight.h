// What the io_uring backend keeps of an open descriptor and of an operation under way.
#pragma once

#include <array>
#include <cstdint>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "engine/reactor/request.h"
#include "engine/reactor/socket_address.h"
#include "engine/reactor/unique_fd.h"

namespace millrace {

struct UringHandle : HandleState {
  int fd = -1;
  bool stream = false;    // standard input or output: no positions, reads give what there is
  bool drained = false;   // a socket whose last receive has left nothing behind
  std::uint64_t pin = 0;  // a lock: under which number the shards' rings hold it
};

[[nodiscard]] inline UringHandle& uring_handle(const Handle& handle) {
  return static_cast<UringHandle&>(*handle.state());
}

// A pipe between a file and a socket, of k_transfer_max bytes; empty whenever no transfer uses it.
struct Pipe {
  UniqueFd read_end, write_end;
};

struct Flight {
  enum class State : std::uint8_t {
    idle,    // no operation
    queued,  // waits for room in the submission ring
    kernel,  // the kernel has it
    soon,    // to be done by a plain system call in the next turn, or ended there with `error`
    timer,   // sleeps
  };
  // Verbs that take more than one kernel operation. await: a stream that would block can be used again.
  enum class Step : std::uint8_t { first, sync, drain, await };

  State state = State::idle;
  Step step = Step::first;
  bool cancelled = false;  // whatever happens next, no further step follows
  bool late = false;       // cancelled by its deadline
  bool cut_short = false;  // a synced write of which the kernel took a part only
  bool dsync = false;      // write: asked for with RWF_DSYNC, so no fdatasync follows
  std::uint8_t attempts = 0;
  std::uint32_t serial = 0;   // of the operation, so that a late cancel does not hit its successor
  int error = 0;              // soon: end with this
  std::uint64_t done = 0;     // bytes moved
  std::uint64_t in_pipe = 0;  // transfer
  UniqueFd fd;                // sync_folder, connect, lock, signal: its own descriptor
  Pipe pipe;                  // transfer
  std::array<iovec, k_slices_max> ranges{};
  msghdr message{};
  SocketAddress address;  // accept, connect
  signalfd_siginfo signal{};
};

}  // namespace millrace
