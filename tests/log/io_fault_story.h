// A fixed life of a node's logs, every operation of whose disk can be made to fail: groups are made, small
// and direct records appended one by one and side by side, the journal goes round, segments roll and are
// sealed, retained and trimmed, a suffix is cut, a group deleted, and all is read from memory and cold; the
// node stops cleanly, starts, ends without a stop and starts again.
#pragma once

#include <cstdint>

#include "tests/reactor/io_fault.h"

namespace millrace::test {

IoFaultBound count_operations(const IoFault& fault);

// Lives it with the fault at the nth of those operations. Whatever the program makes of that: it ends, with
// named errors alone; started on the healthy disk everything acknowledged is there, and it goes on; and so
// it is after a power cut that drops all that is not synced. Failures are those of GoogleTest. Gives how many
// operations were hit.
std::uint64_t live_with_fault(const IoFault& fault, std::uint64_t n);

}  // namespace millrace::test
