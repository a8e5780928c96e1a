// The Kafka RecordBatch, version 2: our only record encoding. All numbers are big endian.
//
//    at                                at                          at
//    0  i64  base_offset              21  i16  attributes          43  i64  producer_id
//    8  i32  length (= size - 12)     23  i32  last_offset_delta   51  i16  producer_epoch
//   12  i32  partition_leader_epoch   27  i64  base_timestamp      53  i32  base_sequence
//   16  i8   magic = 2                35  i64  max_timestamp       57  i32  record_count
//   17  u32  crc (CRC-32C of 21..)                                 61  records, as one block when compressed
//
// record: varint length of the rest, i8 attributes, varlong timestamp delta, varint offset delta, varint key
// length
// (-1: no key), key, varint value length (-1: no value), value, varint number of headers; each header a
// varint key length, key, varint value length (-1: no value), value.
//
// The first 16 bytes are what a leader writes when it assigns offset and term; the CRC leaves them out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"

namespace millrace {

inline constexpr std::uint32_t k_batch_header_size = 61;
// What `length` does not count.
inline constexpr std::uint32_t k_batch_length_base = 12;
inline constexpr std::int8_t k_batch_magic = 2;
// Where the bytes that the CRC covers begin.
inline constexpr std::uint32_t k_batch_crc_begin = 21;

// Bits 0 to 2 of the attributes. 5 to 7 are nobody's.
enum class Codec : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };
// "zstd"; "unknown" for 5 to 7.
[[nodiscard]] std::string_view name(Codec codec);

// Bits 3 to 6 of the attributes.
inline constexpr std::uint16_t k_attribute_codec_mask = 0x07;
inline constexpr std::uint16_t k_attribute_log_append_time = 0x08;
inline constexpr std::uint16_t k_attribute_transactional = 0x10;
inline constexpr std::uint16_t k_attribute_control = 0x20;
inline constexpr std::uint16_t k_attribute_delete_horizon = 0x40;

// The header's fields, by value.
struct BatchHeader {
  Offset base_offset;
  std::int32_t length = 0;
  Term partition_leader_epoch;
  std::int8_t magic = k_batch_magic;
  std::uint32_t crc = 0;
  std::uint16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t base_timestamp = 0;  // milliseconds since 1970, as all timestamps here
  std::int64_t max_timestamp = 0;
  std::int64_t producer_id = -1;  // -1: not idempotent
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  std::int32_t record_count = 0;

  [[nodiscard]] Codec codec() const { return static_cast<Codec>(attributes & k_attribute_codec_mask); }
  // Bytes of the whole batch, this header included. For a header that has been checked.
  [[nodiscard]] std::uint32_t size() const {
    return static_cast<std::uint32_t>(length) + k_batch_length_base;
  }
  // What the entry header calls offset_count: offsets that the batch takes. For a header that has been
  // checked.
  [[nodiscard]] std::uint32_t offset_count() const {
    return static_cast<std::uint32_t>(last_offset_delta) + 1;
  }
  friend bool operator==(const BatchHeader&, const BatchHeader&) = default;
};

// Who sent a batch, and which of its producer's batches it is.
struct ProducerStamp {
  std::int64_t id = -1;        // -1: nobody says, and a repetition cannot be told from a new batch
  std::int16_t epoch = -1;     // of the producer
  std::int32_t sequence = -1;  // of the first record; the others follow by one
  [[nodiscard]] bool is_idempotent() const { return id >= 0 && epoch >= 0 && sequence >= 0; }
  friend bool operator==(const ProducerStamp&, const ProducerStamp&) = default;
};
// The sequence `records` after this one: from 0 to 2^31 - 1, and around, as Kafka's.
[[nodiscard]] constexpr std::int32_t sequence_after(std::int32_t sequence, std::uint32_t records) {
  return static_cast<std::int32_t>((static_cast<std::uint32_t>(sequence) + records) & 0x7fffffffU);
}
// Of a batch, or its first k_batch_header_size bytes.
[[nodiscard]] ProducerStamp producer_of(std::span<const std::byte> batch);
// Writes the stamp into a whole batch, and the CRC that it then has.
void stamp(std::span<std::byte> batch, const ProducerStamp& producer);

// Reads the fields and judges none of them.
[[nodiscard]] BatchHeader decode_batch_header(std::span<const std::byte, k_batch_header_size> bytes);
// Writes them all as they are.
void encode(const BatchHeader& header, std::span<std::byte, k_batch_header_size> out);

// What a server asks of the bytes that a client wants appended: exactly one batch, whole and honest. First
// failure wins, in this order (Kafka's own, UnifiedLog.analyzeAndValidateRecords and LogValidator):
//   fewer bytes than a header                              corrupt_batch
//   more than `size_max` bytes                             record_too_large
//   magic is not 2; length does not match the bytes        invalid_batch
//   base offset is not 0                                   invalid_batch
//   CRC-32C                                                corrupt_batch
//   counts not positive, or not equal                      invalid_batch
//   attributes that only a server sets (control, log append time, delete horizon), transactions invalid_batch
//   codec 5, 6 or 7                                        unsupported_compression
//   producer id without epoch and sequence                 invalid_batch
//   uncompressed records: lengths that do not add up, offset deltas other than 0, 1, 2, ... invalid_batch
// Compressed records are opaque: stored as they are, decoded by readers.
[[nodiscard]] Result<BatchHeader> check_batch(std::span<const std::byte> bytes,
                                              std::uint32_t size_max = k_batch_size_max);

// What a reader asks of a batch that a server or a disk gave it, the first of those in `bytes`: a whole
// header of magic 2, positive counts, all its bytes there, CRC-32C. More bytes may follow; header.size() says
// where. Errors: invalid_batch, corrupt_batch. The records themselves are checked by RecordReader as it goes.
[[nodiscard]] Result<BatchHeader> verify_batch(std::span<const std::byte> bytes);

}  // namespace millrace
