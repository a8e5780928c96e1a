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
// The least that it may be told to gather: the smallest block of the buffers.
inline constexpr std::uint32_t k_batch_size_target_min = k_block_size;
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

// The table of a request, which stands behind its preamble in the smallest receive block: the longest of
// them, with a name, an id and settings, takes some 600 bytes.
inline constexpr std::uint32_t k_request_table_size_max = (4u << 10) - 32;

// ---- server, each shard's unless it says otherwise --------------------------
// 10,000 idle clients of one shard, and some at work. Beyond it, the one that has been idle for longest goes.
inline constexpr std::uint32_t k_connections_max = 16u << 10;
// How long a connection is left alone at least, when others want its place.
inline constexpr std::uint32_t k_idle_at_least_ms = 60'000;
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
// The same while somebody waits for the memory that they hold: whoever moves fewer than 64 KiB in 250 ms
// stands still, and goes.
inline constexpr std::uint32_t k_pressed_deadline_ms = 250;
inline constexpr std::uint32_t k_pressed_step = 64u << 10;
// How often connections are looked at for the bounds above, and while somebody waits for memory.
inline constexpr std::uint32_t k_sweep_interval_ms = 500;
inline constexpr std::uint32_t k_pressed_interval_ms = 50;
// Answers of one connection that wait to be sent: two of the largest fetches. Beyond it nothing more is read
// from it.
inline constexpr std::uint64_t k_send_queue_max = 16_MiB;
// One send: what is larger says too late whether its peer takes it, and what is much smaller costs a turn
// more often.
inline constexpr std::uint32_t k_answer_send_max = 256u << 10;
// Receive buffers: the first 4 KiB of a large payload may be copied, and no more arrive with its table; while
// only small frames come, larger receives save system calls.
inline constexpr std::uint32_t k_receive_size_min = k_block_size;
inline constexpr std::uint32_t k_receive_size_max = 64u << 10;
// Pieces of an answer up to this size are copied together: a copy costs less than its place in the list of
// slices.
inline constexpr std::uint32_t k_send_copy_max = 2u << 10;
// Requests under way, waiting fetches among them, on all connections of a shard, whichever shard has the
// partition: of about 3 KiB each. Whatever the others do, a connection may have so many of its own, which
// counts until they are done, also when its peer has gone. So there are at most requests_max +
// k_requests_of_each * connections_max, 48 K, of 144 MiB.
inline constexpr std::uint32_t k_requests_max = 16u << 10;
inline constexpr std::uint32_t k_requests_of_each = 2;
// Partitions of all topics: 3.5 KiB of memory and 128 KiB of disk each, 56 MiB and 2 GiB in all.
inline constexpr std::uint32_t k_partitions_node_max = 16u << 10;
// A fetch that asks for more gets this much: half of what may wait to be sent.
inline constexpr std::uint32_t k_fetch_size_max = 8u << 20;
// What a fetch is counted as at least while its answer is made: the first chunk that is read for it. And what
// it gets at most while memory for answers is short.
inline constexpr std::uint32_t k_fetch_promise_min = 64u << 10;
inline constexpr std::uint32_t k_fetch_size_short = 256u << 10;
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

// ---- memory of a shard: one pool, and what its parts may hold of it at once --
// net/memory_plan.cpp shares it out at the start; docs/architecture.md has the table.

// Receive blocks beyond the k_receive_size_min of each connection: larger ones, and those that requests still
// refer to. 512 connections at full speed.
inline constexpr std::uint64_t k_receive_bytes_max = 32_MiB;
// Payloads that have a buffer of their own: small ones (below k_direct_size_min, 256 of the largest), and
// large ones (three of the largest), which small ones never wait for.
inline constexpr std::uint64_t k_small_request_bytes_max = 16_MiB;
inline constexpr std::uint64_t k_large_request_bytes_max = 48_MiB;
// Answers of all connections, being made or waiting to be sent. A slice may hold twice its length.
inline constexpr std::uint64_t k_answer_bytes_max = 32_MiB;
inline constexpr std::uint64_t k_answer_memory = 2 * k_answer_bytes_max;
// Recent entries, for readers: at 1 GB/s, the last 60 ms.
inline constexpr std::uint64_t k_cache_bytes_default = 64_MiB;
// What entries may hold beyond that while they wait for the disk.
inline constexpr std::uint64_t k_unplaced_bytes_default = 64_MiB;
// A chunk of 1 MiB for each of 32 readers of what is no longer in memory.
inline constexpr std::uint64_t k_read_ahead_bytes_max = 32_MiB;
// A search by timestamp looks at one read at a time, which may be the largest batch.
inline constexpr std::uint64_t k_search_bytes_max = 16_MiB;
// For the log's own writes, which give memory back: two commits with their extents, eight moves of 1 MiB, the
// filling of a journal file.
inline constexpr std::uint64_t k_log_reserve_bytes = 32_MiB;
// Entries that came by another shard hold that one's memory, as much in all as one shard's own.
inline constexpr std::uint64_t k_buffer_bytes_default = 560_MiB;
static_assert(std::uint64_t{k_connections_max} * k_receive_size_min + k_receive_bytes_max +
                  k_small_request_bytes_max + k_large_request_bytes_max + k_answer_memory +
                  2 * (k_cache_bytes_default + k_unplaced_bytes_default) + k_read_ahead_bytes_max +
                  k_search_bytes_max + k_log_reserve_bytes ==
              k_buffer_bytes_default);
// Freed blocks that are kept for reuse, beside those in use.
inline constexpr std::uint64_t k_idle_buffer_bytes_max = 64_MiB;

static_assert(k_hello_size_max <= k_receive_size_min && k_request_table_size_max < k_receive_size_min);
static_assert(k_receive_size_min <= k_direct_size_min && k_receive_size_max >= k_direct_size_min);
// The buffer of a batch is at most twice as large, and two must find room where two are under way.
static_assert(k_large_request_bytes_max >= std::uint64_t{4} * k_batch_size_max);
static_assert(k_search_bytes_max >= std::uint64_t{2} * k_batch_size_max);
static_assert(k_small_request_bytes_max >= std::uint64_t{64} * k_receive_size_max);
static_assert(k_fetch_size_max + k_batch_size_max <= k_send_queue_max &&
              k_send_queue_max <= k_answer_bytes_max);
static_assert(k_fetch_promise_min <= k_fetch_size_short && k_fetch_size_short <= k_fetch_size_max);
static_assert(k_log_reserve_bytes >= k_commits_in_flight_max * (k_commit_size_max + 4_MiB) + 8_MiB + 1_MiB);
static_assert(k_batch_size_max + k_table_size_max < k_frame_size_max);
static_assert(k_direct_size_min < k_batch_size_target);

}  // namespace millrace
