// Every bound of the engine and the server, with its reason. Options that users may set have their range
// here, too.
#pragma once

#include <cstdint>

namespace millrace {

constexpr std::uint64_t operator""_KiB(unsigned long long n) {
  return n << 10;
}
constexpr std::uint64_t operator""_MiB(unsigned long long n) {
  return n << 20;
}
constexpr std::uint64_t operator""_GiB(unsigned long long n) {
  return n << 30;
}

// ---- memory and disk units -------------------------------------------------

// Unit of direct writes: the physical block of today's drives, and what a torn write may leave half done at
// most once.
inline constexpr std::uint32_t k_block_size = 4096;
// Entries are padded to this in extents and in the journal, so that headers are aligned for reading.
inline constexpr std::uint32_t k_entry_alignment = 8;

// ---- records and batches ---------------------------------------------------

// Largest batch, header included. 8 MiB: a client's frame stays under k_frame_size_max, and the largest
// receive buffer (16 MiB class) holds two.
inline constexpr std::uint32_t k_batch_size_max = 8u << 20;
// What the client library gathers before it sends a batch of its own accord. Where a segment's blocks are
// allocated and not yet written, the device takes larger writes much better. Measured on the reference
// machine (bench/batched_throughput, 5 batches on their way, MB/s of 100 B and of 1 KiB records): 256 KiB:
// 870 to 940 and 1,150 to 1,240; 512 KiB: 1,054 and 1,400; 1 MiB: 1,121 and 1,397, for twice the memory and
// twice the time that a batch takes to fill.
inline constexpr std::uint32_t k_batch_size_target =
    (512u << 10) - k_block_size;  // with header and padding in a 512 KiB buffer
// Payloads from here on take the zero-copy path: received in place and written straight to their segment.
inline constexpr std::uint32_t k_direct_size_min = 64u << 10;
// What one compressed batch may hold when a reader inflates it, and the largest window of its codec: the
// default of zstd's own decoder, so that whatever Kafka's clients can compress can be read.
inline constexpr std::uint64_t k_batch_inflated_size_max = 128_MiB;
// What a reader of batches keeps for the next one: of zstd's working memory, which follows the window (2.5
// MiB for what its encoder's default level makes), and of the space for inflated records. What larger batches
// have needed goes with them.
inline constexpr std::uint64_t k_inflater_bytes_kept = 8_MiB;
inline constexpr std::uint64_t k_inflated_bytes_kept = 1_MiB;
static_assert(k_inflater_bytes_kept < k_batch_inflated_size_max);
static_assert(k_inflated_bytes_kept < k_batch_inflated_size_max);

// ---- journal ---------------------------------------------------------------

inline constexpr std::uint64_t k_journal_file_size_default = 64_MiB;
inline constexpr std::uint64_t k_journal_file_size_min = 1_MiB;
inline constexpr std::uint64_t k_journal_file_size_max = 1_GiB;
inline constexpr std::uint32_t k_journal_files = 4;  // in the ring; one more is the spare
// Commits under load: 512 KiB to 1 MiB was best at depth 1 and 2.
inline constexpr std::uint32_t k_commit_size_max = 1u << 20;
inline constexpr std::uint32_t k_commits_in_flight_max = 2;

// ---- idempotent producers --------------------------------------------------

// Batches of a producer that a group remembers, and so what a producer may have on its way to one partition.
// Kafka's.
inline constexpr std::uint32_t k_producer_batches_kept = 5;
// Producers that a group remembers, the least recent forgotten first: about 110 bytes each, so 28 KiB a
// group, and 28 MiB for a thousand groups with so many producers each. Fewer where a checkpoint of all of
// them would take more than half a journal file.
inline constexpr std::uint32_t k_producers_max = 256;

// ---- segments --------------------------------------------------------------

inline constexpr std::uint64_t k_segment_size_default = 256_MiB;
inline constexpr std::uint64_t k_segment_size_min = 64_KiB;
inline constexpr std::uint64_t k_segment_size_max = 16_GiB;
// What the mover gathers of one group before it writes an extent unpressed.
inline constexpr std::uint32_t k_move_size = 256u << 10;

// ---- names -----------------------------------------------------------------

inline constexpr std::uint32_t k_topic_name_size_max = 249;  // Kafka's
inline constexpr std::uint32_t k_partitions_max = 1024;      // a topic

// ---- protocol --------------------------------------------------------------
inline constexpr std::uint32_t k_frame_size_max = 9u << 20;  // preamble, table and payload
// The FlatBuffers table of a frame: the description of a topic of k_partitions_max partitions takes 78 KiB.
inline constexpr std::uint32_t k_table_size_max = 256u << 10;
inline constexpr std::uint32_t k_requests_in_flight_max = 1024;  // a connection
// A list of topics comes in pages: so many topics, which is what 4,096 tables allow (wire/table.h), or so
// many bytes.
inline constexpr std::uint32_t k_topics_page = 2000;
inline constexpr std::uint32_t k_topics_page_size = k_table_size_max - (8u << 10);

// ---- server, each shard's unless it says otherwise --------------------------
// 4,096 idle connections of one receive buffer of 4 KiB each hold 16 MiB.
inline constexpr std::uint32_t k_connections_max = 4096;
// Connections beyond the bound that are told so at the same time; the rest are closed without a word.
inline constexpr std::uint32_t k_refusals_max = 16;
// All that a stranger may send before it has said hello: a hello takes some 150 bytes.
inline constexpr std::uint32_t k_hello_size_max = 4u << 10;
inline constexpr std::uint32_t k_hello_deadline_ms = 5'000;
inline constexpr std::uint32_t k_idle_timeout_ms = 600'000;  // Kafka's
// A frame that has begun, and bytes that are being sent, move within this time plus what they take at the
// least rate: 64 KiB/s is slower than any network that a log server is worth using over.
inline constexpr std::uint32_t k_transfer_deadline_ms = 10'000;
inline constexpr std::uint32_t k_transfer_rate_min = 64u << 10;
// How often connections are looked at for the bounds above.
inline constexpr std::uint32_t k_sweep_interval_ms = 500;
// Answers of one connection that wait to be sent: two of the largest fetches. Beyond it nothing more is read
// from it.
inline constexpr std::uint64_t k_send_queue_max = 16_MiB;
// Answers of all connections that wait to be sent; beyond it the connection that holds most of them back is
// closed.
inline constexpr std::uint64_t k_answer_bytes_max = 128_MiB;
// Receive buffers: the first 4 KiB of a large payload may be copied, and no more arrive with its table; while
// only small frames come, larger receives save system calls.
inline constexpr std::uint32_t k_receive_size_min = k_block_size;
inline constexpr std::uint32_t k_receive_size_max = 64u << 10;
// Pieces of an answer up to this size are copied together: a copy costs less than its place in the list of
// slices.
inline constexpr std::uint32_t k_send_copy_max = 2u << 10;
// Payloads of requests under way, so that a shard's memory does not follow the number of its clients. Holds
// three of the largest buffers.
inline constexpr std::uint64_t k_request_bytes_max = 64_MiB;
// Requests under way, waiting fetches among them, on all connections: 64 Ki of about 1 KiB.
inline constexpr std::uint32_t k_requests_max = 64u << 10;
// A fetch that asks for more gets this much: half of what may wait to be sent.
inline constexpr std::uint32_t k_fetch_size_max = 8u << 20;
inline constexpr std::uint32_t k_fetch_wait_max_ms = 30'000;
// How long a waiting fetch does not look whether its connection is still there: what a peer leaves behind
// that asks and goes away.
inline constexpr std::uint32_t k_fetch_wait_step_ms = 1'000;
// Of a produce that names no deadline.
inline constexpr std::uint32_t k_request_deadline_ms = 30'000;
// The longest that a request waits for room, whatever deadline it names: it holds its payload meanwhile, and
// 32 bits of milliseconds are 49 days.
inline constexpr std::uint32_t k_request_deadline_max_ms = 300'000;
// What a stop gives to requests that were taken before, and to their answers.
inline constexpr std::uint32_t k_drain_deadline_ms = 5'000;
static_assert(k_request_deadline_ms <= k_request_deadline_max_ms);
static_assert(k_hello_size_max <= k_receive_size_min);
static_assert(k_receive_size_min <= k_direct_size_min && k_receive_size_max >= k_direct_size_min);
static_assert(k_request_bytes_max >= std::uint64_t{4} * k_batch_size_max);
static_assert(k_fetch_size_max + k_batch_size_max <= k_send_queue_max &&
              k_send_queue_max <= k_answer_bytes_max);
static_assert(k_batch_size_max + k_table_size_max < k_frame_size_max);
static_assert(k_direct_size_min < k_batch_size_target);

}  // namespace millrace
