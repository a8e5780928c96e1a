// Frame: 32-byte preamble, FlatBuffers table, raw payload. Little endian. For clients and peers alike.
//
//   at  type  field
//    0  u32   magic          "MRL1"
//    4  u8    version  1
//    5  u8    type           FrameType
//    6  u16   flags          0
//    8  u64   correlation    chosen by whoever asks; the answer carries it back
//   16  u32   table_length   at most k_table_size_max; of a request, k_request_table_size_max
//   20  u32   payload_length the frame in all at most the limit agreed in the hello
//   24  u64   checksum       XXH3-64 of bytes 0..23 followed by the table
//
// The payload is outside the checksum: batches and entries carry their own. docs/protocol.md has a worked
// example of real bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/limits.h"

namespace millrace {

inline constexpr std::uint32_t k_preamble_size = 32;
static_assert(k_preamble_size + k_request_table_size_max == k_receive_size_min);
inline constexpr std::uint8_t k_protocol_version = 1;
// What of a preamble is enough to tell our frames from other protocols.
inline constexpr std::uint32_t k_recognised_size = 8;

// The numbers are the protocol: never reused. An answer's type is its request's plus 128; `error` answers any
// request.
enum class FrameType : std::uint8_t {
  hello = 1,
  create_topic = 2,
  list_topics = 3,
  describe_topic = 4,
  delete_topic = 5,
  produce = 6,
  fetch = 7,
  list_offsets = 8,
  trim = 9,
  status = 10,
  alter_topic = 11,
  init_producer = 12,
  error = 255,
};
inline constexpr std::uint8_t k_answer_bit = 128;
[[nodiscard]] constexpr std::uint8_t number(FrameType type) {
  return static_cast<std::uint8_t>(type);
}
[[nodiscard]] constexpr std::uint8_t answer_to(FrameType type) {
  return static_cast<std::uint8_t>(number(type) | k_answer_bit);
}
// The request with this number, or nothing: answers, errors and unknown numbers are no requests.
[[nodiscard]] std::optional<FrameType> request_type(std::uint8_t number);

struct Preamble {
  std::uint8_t version = k_protocol_version;
  std::uint8_t type = 0;
  std::uint64_t correlation = 0;
  std::uint32_t table_length = 0;
  std::uint32_t payload_length = 0;
  std::uint64_t checksum = 0;
  [[nodiscard]] std::uint64_t frame_size() const {
    return std::uint64_t{k_preamble_size} + table_length + payload_length;
  }
};

// Writes the preamble with its checksum into the first 32 bytes of `into`; `table` is what the checksum
// covers and must have the length that the preamble states.
void encode_preamble(Preamble preamble, std::span<const std::byte> table, std::span<std::byte> into);
// Checks magic, version, flags and lengths against `frame_size_max` before anything is allocated. `bytes` has
// at least 32. protocol_error (saying what the bytes look like when they are a TLS hello, an HTTP request or
// a Kafka request), unsupported_version, frame_too_large.
[[nodiscard]] Result<Preamble> decode_preamble(std::span<const std::byte> bytes, std::uint64_t frame_size_max,
                                               std::uint32_t table_size_max = k_table_size_max);
// Whether the checksum holds for this table: protocol_error otherwise.
[[nodiscard]] Result<void> check_frame(std::span<const std::byte> preamble, std::span<const std::byte> table);

// What a stranger's first bytes look like.
enum class Stranger : std::uint8_t { tls, http, kafka, unknown };
[[nodiscard]] std::string_view name(Stranger stranger);
// Nothing while `bytes` begin like our frames or are fewer than k_recognised_size: there may be more to come.
// So a listener can refuse "GET / HTTP/1.0" before 32 bytes have arrived.
[[nodiscard]] std::optional<Stranger> recognise_stranger(std::span<const std::byte> bytes);
// The error that decode_preamble gives for it.
[[nodiscard]] Error stranger_error(Stranger stranger);

}  // namespace millrace
