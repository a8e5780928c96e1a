// The memory of a shard: how its pool is shared out, so that what may be held at once is never more than
// there is. docs/operations.md has the table.
#pragma once

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/log/shard_log.h"
#include "net/server_options.h"

namespace millrace {

// Sets the log's reserve and the bounds of requests, answers, receive blocks and read-ahead, in the same
// proportions as the defaults, to what `pool.bytes_max` leaves beside connections_max, cache_bytes and
// unplaced_bytes_max. invalid_argument where that is too little; the message names the least that would do.
[[nodiscard]] Result<void> plan_memory(BufferPool::Options& pool, ServerOptions& server,
                                       ShardLogOptions& log);

}  // namespace millrace
