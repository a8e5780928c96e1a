// The ballast: a file that only takes up space. On a full disk it is given up, and what the log itself has to
// write (trims, metadata, a term) finds room; once there is space again it comes back. Until then clients get
// no more space, on no shard and after no restart: they would eat what was set free.
#pragma once

#include <cstdint>

#include "engine/base/error.h"
#include "engine/log/ballast_state.h"
#include "engine/log/data_folder.h"
#include "engine/log/log_context.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace millrace {

// Makes the file have `size` bytes of space, durably. False: the disk is too full for it, and it is not
// there.
Task<Result<bool>> keep_ballast(Reactor& reactor, DataFolder folder, std::uint64_t size);

// Allocates part of a file, giving up the ballast where the disk is full otherwise, which `ballast` then
// says, also when it was not there any more. disk_full if even that was not enough.
Task<Result<void>> allocate_with_ballast(Reactor& reactor, DataFolder folder, File file,
                                         std::uint64_t position, std::uint64_t length, BallastState& ballast);

// Makes a ballast that was given up again, where the disk has room for it and `beside` bytes more: else it
// would take what appends are waiting for. context.ballast tells what came of it.
Task<void> restore_ballast(LogContext& context, std::uint64_t beside);

}  // namespace millrace
