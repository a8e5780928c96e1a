// Memory for coroutine frames: free lists by size, so that a request allocates nothing in steady state.
//
// The lists belong to the thread, not to a shard: which frame a shard gets from them changes nothing it can
// observe, so simulated shards, which share one thread, may share them too.
#pragma once

#include <cstddef>

namespace millrace {

[[nodiscard]] void* allocate_frame(std::size_t size);
void free_frame(void* frame, std::size_t size) noexcept;

}  // namespace millrace
