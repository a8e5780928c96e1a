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
// What the client library gathers before it sends a batch of its own accord. 256 KiB: one direct write of 106
// us on the reference machine, beyond which larger writes gain little.
inline constexpr std::uint32_t k_batch_size_target =
    (256u << 10) - k_block_size;  // with header and padding in a 256 KiB buffer
// Payloads from here on take the zero-copy path: received in place and written straight to their segment.
inline constexpr std::uint32_t k_direct_size_min = 64u << 10;
// What one compressed batch may hold when a reader inflates it, and the largest window of its codec: the
// default of zstd's own decoder, so that whatever Kafka's clients can compress can be read.
inline constexpr std::uint64_t k_batch_inflated_size_max = 128_MiB;

// ---- journal ---------------------------------------------------------------

inline constexpr std::uint64_t k_journal_file_size_default = 64_MiB;
inline constexpr std::uint64_t k_journal_file_size_min = 1_MiB;
inline constexpr std::uint64_t k_journal_file_size_max = 1_GiB;
inline constexpr std::uint32_t k_journal_files = 4;  // in the ring; one more is the spare
// Commits under load: 512 KiB to 1 MiB was best at depth 1 and 2.
inline constexpr std::uint32_t k_commit_size_max = 1u << 20;
inline constexpr std::uint32_t k_commits_in_flight_max = 2;

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

inline constexpr std::uint32_t k_frame_size_max = 9u << 20;      // preamble, table and payload
inline constexpr std::uint32_t k_table_size_max = 64u << 10;     // the FlatBuffers table of a frame
inline constexpr std::uint32_t k_requests_in_flight_max = 1024;  // a connection
static_assert(k_batch_size_max + k_table_size_max < k_frame_size_max);
static_assert(k_direct_size_min < k_batch_size_target);

}  // namespace millrace
