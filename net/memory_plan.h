// The memory of a shard: how its pool is shared out, so that what may be held at once is never more than
// there is; and what a shard takes beside it. docs/architecture.md has the table.
#pragma once

#include <cstdint>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/log/shard_log.h"
#include "net/server_options.h"

namespace millrace {

// Sets the log's reserve and the bounds of receiving, requests, answers and read-ahead to what pool.bytes_max
// leaves beside connections_max, cache_bytes and unplaced_bytes_max, in the proportions of the defaults.
// invalid_argument where that is too little: the message says what would do.
[[nodiscard]] Result<void> plan_memory(BufferPool::Options& pool, ServerOptions& server, ShardLogOptions& log,
                                       std::uint32_t shards);

// What one shard of the process takes at most, by default, whatever its clients do. Beside the pool and its
// free blocks: measured sizes, rounded up.
inline constexpr std::uint64_t k_connection_memory = 4_KiB;  // object, coroutines, operations
inline constexpr std::uint64_t k_request_memory = 3_KiB;     // a fetch that waits on another shard
inline constexpr std::uint64_t k_partition_memory = 4_KiB;
inline constexpr std::uint64_t k_entry_notes_memory = 64_MiB;  // of entries of one small record each
inline constexpr std::uint64_t k_base_memory = 32_MiB;         // code, rings, registered memory, frames kept
inline constexpr std::uint64_t k_shard_memory_max = 1_GiB;
static_assert(k_buffer_bytes_default + k_idle_buffer_bytes_max + k_connections_max * k_connection_memory +
                  (k_requests_max + k_requests_of_each * k_connections_max) * k_request_memory +
                  k_partitions_node_max * k_partition_memory + k_entry_notes_memory + k_base_memory <=
              k_shard_memory_max);

}  // namespace millrace
