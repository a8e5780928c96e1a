// A fixed life of a whole server with clients at work on it, every operation of whose disk can be made to
// fail: topics come and go, records of all sizes are produced, read and trimmed, segments roll and are
// retained; the server is stopped, started, killed and started again.
#pragma once

#include <cstdint>

#include "tests/reactor/io_fault.h"

namespace millrace::test {

IoFaultBound count_server_operations(const IoFault& fault);

// Lives it with the fault at the nth of those operations. The server goes on or ends, clients hear named
// errors alone and nobody waits for ever; started on the healthy disk, and once more after a power cut that
// drops all that is not synced, everything acknowledged is there and nothing that was refused. Failures are
// those of GoogleTest. Gives how many operations were hit.
std::uint64_t serve_with_fault(const IoFault& fault, std::uint64_t n);

}  // namespace millrace::test
