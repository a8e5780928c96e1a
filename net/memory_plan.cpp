#include "net/memory_plan.h"

#include <algorithm>

#include "net/answer_memory.h"

namespace millrace {
namespace {

// What the parts that no flag names have by default, and of which each gets its proportion.
constexpr std::uint64_t k_rest_default = k_receive_bytes_max + k_small_request_bytes_max +
                                         k_large_request_bytes_max + k_answer_memory +
                                         k_read_ahead_bytes_max + k_log_reserve_bytes;
// With less, the largest batch would not find room in its part.
constexpr std::uint64_t k_largest_buffer = 16_MiB;
constexpr std::uint64_t k_rest_min = k_rest_default / (k_large_request_bytes_max / k_largest_buffer);

constexpr std::uint64_t part(std::uint64_t rest, std::uint64_t by_default) {
  return rest / 1_KiB * (by_default / 1_MiB) / (k_rest_default / 1_MiB) * 1_KiB;
}
static_assert(part(k_rest_default, k_answer_memory) == k_answer_memory);
static_assert(part(k_rest_min + 1_MiB, k_large_request_bytes_max) >= k_largest_buffer);
static_assert(AnswerMemory::promised_max(part(k_rest_min + 1_MiB, k_answer_memory) / 2) >=
              k_batch_size_max + 1_MiB);

}  // namespace

Result<void> plan_memory(BufferPool::Options& pool, ServerOptions& server, ShardLogOptions& log,
                         std::uint32_t shards) {
  // Other shards may keep as much of this one's memory as it keeps itself.
  const std::uint64_t entries = (log.cache_bytes + log.unplaced_bytes_max) * (shards == 1 ? 1 : 2);
  const std::uint64_t asked_for =
      std::uint64_t{server.connections_max} * k_receive_size_min + entries + k_search_bytes_max;
  const std::uint64_t least = asked_for + k_rest_min + 1_MiB;
  if (pool.bytes_max < least) {
    return fail(
        ErrorCode::invalid_argument,
        "{} MiB of buffers a shard are too few: {} connections, the cache and what waits for the disk "
        "may take {} MiB, and requests, answers and the log's own writes need {} MiB; give at least "
        "--buffer-bytes {}MiB, or lower --connections, --cache-bytes or --unplaced-bytes",
        pool.bytes_max / 1_MiB, server.connections_max, asked_for / 1_MiB, (least - asked_for) / 1_MiB,
        (least + 1_MiB - 1) / 1_MiB);
  }
  const std::uint64_t rest = pool.bytes_max - asked_for;
  pool.reserve_bytes = part(rest, k_log_reserve_bytes);
  server.receive_bytes_max = part(rest, k_receive_bytes_max);
  server.small_request_bytes_max = part(rest, k_small_request_bytes_max);
  server.large_request_bytes_max = part(rest, k_large_request_bytes_max);
  server.answer_bytes_max = part(rest, k_answer_memory) / 2;
  server.send_queue_max = std::min(k_send_queue_max, server.answer_bytes_max);
  log.read_ahead_bytes_max = part(rest, k_read_ahead_bytes_max);
  return {};
}

}  // namespace millrace
