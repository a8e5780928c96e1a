#include "net/memory_plan.h"

#include <algorithm>

#include "engine/base/limits.h"

namespace millrace {
namespace {

// What is left for these by default, and of which each gets its part.
constexpr std::uint64_t k_rest_default = k_request_bytes_max + k_answer_bytes_max + k_receive_bytes_max +
                                         k_read_ahead_bytes_max + k_log_reserve_bytes;
// One of the largest batches must find room in its part.
constexpr std::uint64_t k_rest_min = k_rest_default / (k_request_bytes_max / 16_MiB);

constexpr std::uint64_t part(std::uint64_t rest, std::uint64_t by_default) {
  return rest / 1_KiB * (by_default / 1_MiB) / (k_rest_default / 1_MiB) * 1_KiB;
}

}  // namespace

Result<void> plan_memory(BufferPool::Options& pool, ServerOptions& server, ShardLogOptions& log) {
  const std::uint64_t asked_for =
      std::uint64_t{server.connections_max} * k_receive_size_min + log.cache_bytes + log.unplaced_bytes_max;
  const std::uint64_t least = asked_for + k_rest_min;
  if (pool.bytes_max < least) {
    return fail(
        ErrorCode::invalid_argument,
        "{} MiB of buffers a shard are too few: {} connections, the cache and what is not in segments "
        "yet may take {} MiB, and requests and answers need {} MiB; give at least {} MiB, or lower "
        "the others",
        pool.bytes_max / 1_MiB, server.connections_max, asked_for / 1_MiB, k_rest_min / 1_MiB,
        (least + 1_MiB - 1) / 1_MiB);
  }
  const std::uint64_t rest = pool.bytes_max - asked_for;
  pool.reserve_bytes = part(rest, k_log_reserve_bytes);
  server.request_bytes_max = part(rest, k_request_bytes_max);
  server.answer_bytes_max = part(rest, k_answer_bytes_max);
  server.send_queue_max = std::min(k_send_queue_max, server.answer_bytes_max);
  server.receive_bytes_max = part(rest, k_receive_bytes_max);
  log.read_ahead_bytes_max = part(rest, k_read_ahead_bytes_max);
  return {};
}

}  // namespace millrace
