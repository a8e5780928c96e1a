#include "engine/wire/frame.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/checksum.h"
#include "engine/base/endian.h"

namespace millrace {
namespace {

constexpr std::uint32_t k_magic = 0x314c524d;  // "MRL1"
constexpr std::size_t k_checked_size = 24;     // bytes of the preamble that the checksum covers

// Nearly every table is far smaller than this: copied beside the preamble and summed in one go.
constexpr std::size_t k_small_size = 1024;

std::uint64_t frame_checksum(std::span<const std::byte> preamble, std::span<const std::byte> table) {
  const auto head = preamble.first(k_checked_size);
  if (k_checked_size + table.size() <= k_small_size) {
    std::array<std::byte, k_small_size> bytes;
    std::memcpy(bytes.data(), head.data(), head.size());
    if (!table.empty()) std::memcpy(bytes.data() + head.size(), table.data(), table.size());
    return xxh3(std::span(bytes).first(head.size() + table.size()));
  }
  XxhStream stream;
  stream.update(head);
  stream.update(table);
  return stream.digest();
}

bool begins_with(std::span<const std::byte> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

bool looks_like_http(std::span<const std::byte> bytes) {
  constexpr std::array<std::string_view, 10> k_methods = {
      "GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "PATCH ", "OPTIONS", "CONNECT ", "TRACE ", "PRI * "};
  return std::ranges::any_of(k_methods, [&](std::string_view method) { return begins_with(bytes, method); });
}

// RFC 8446 section 5.1: a handshake record, of a legacy version 3.0 to 3.4.
bool looks_like_tls(std::span<const std::byte> bytes) {
  return bytes[0] == std::byte{22} && bytes[1] == std::byte{3} && bytes[2] <= std::byte{4};
}

// A request of the Kafka protocol: i32 size, i16 API key, i16 API version, all small.
bool looks_like_kafka(std::span<const std::byte> bytes) {
  constexpr std::uint32_t k_size_max = 128u << 20;
  constexpr std::uint16_t k_api_key_max = 127;
  constexpr std::uint16_t k_api_version_max = 31;
  const auto size = load_be<std::uint32_t>(bytes.data());
  return size >= 8 && size <= k_size_max && load_be<std::uint16_t>(bytes.data() + 4) <= k_api_key_max &&
         load_be<std::uint16_t>(bytes.data() + 6) <= k_api_version_max;
}

}  // namespace

std::optional<FrameType> request_type(std::uint8_t number) {
  if (number < millrace::number(FrameType::hello) || number > millrace::number(FrameType::init_producer))
    return {};
  return static_cast<FrameType>(number);
}

void encode_preamble(Preamble preamble, std::span<const std::byte> table, std::span<std::byte> into) {
  CHECK(into.size() >= k_preamble_size && preamble.table_length == table.size(), "into {}, table {} of {}",
        into.size(), table.size(), preamble.table_length);
  std::byte* at = into.data();
  store_le<std::uint32_t>(at, k_magic);
  store_le<std::uint8_t>(at + 4, preamble.version);
  store_le<std::uint8_t>(at + 5, preamble.type);
  store_le<std::uint16_t>(at + 6, 0);
  store_le<std::uint64_t>(at + 8, preamble.correlation);
  store_le<std::uint32_t>(at + 16, preamble.table_length);
  store_le<std::uint32_t>(at + 20, preamble.payload_length);
  store_le<std::uint64_t>(at + 24, frame_checksum(into, table));
}

Result<Preamble> decode_preamble(std::span<const std::byte> bytes, std::uint64_t frame_size_max,
                                 std::uint32_t table_size_max) {
  CHECK(bytes.size() >= k_preamble_size, "{} bytes", bytes.size());
  if (const auto stranger = recognise_stranger(bytes)) return fail(stranger_error(*stranger));
  const std::byte* at = bytes.data();
  const Preamble preamble{
      .version = load_le<std::uint8_t>(at + 4),
      .type = load_le<std::uint8_t>(at + 5),
      .correlation = load_le<std::uint64_t>(at + 8),
      .table_length = load_le<std::uint32_t>(at + 16),
      .payload_length = load_le<std::uint32_t>(at + 20),
      .checksum = load_le<std::uint64_t>(at + 24),
  };
  if (preamble.version != k_protocol_version) {
    return fail(ErrorCode::unsupported_version, "a frame of version {}; this program speaks version {}",
                preamble.version, k_protocol_version);
  }
  if (const auto flags = load_le<std::uint16_t>(at + 6); flags != 0) {
    return fail(ErrorCode::protocol_error, "a frame with unknown flags {:#06x}; they must be 0", flags);
  }
  if (preamble.table_length > table_size_max) {
    return fail(ErrorCode::frame_too_large, "a table of {} bytes; at most {} are taken",
                preamble.table_length, table_size_max);
  }
  if (preamble.frame_size() > frame_size_max) {
    return fail(ErrorCode::frame_too_large, "a frame of {} bytes; at most {} are taken",
                preamble.frame_size(), frame_size_max);
  }
  return preamble;
}

Result<void> check_frame(std::span<const std::byte> preamble, std::span<const std::byte> table) {
  CHECK(preamble.size() >= k_preamble_size, "{} bytes", preamble.size());
  const auto stated = load_le<std::uint64_t>(preamble.data() + k_checked_size);
  if (stated == frame_checksum(preamble, table)) return {};
  return fail(
      ErrorCode::protocol_error,
      "a frame whose checksum does not match its preamble and table; it was damaged or built wrongly");
}

std::string_view name(Stranger stranger) {
  switch (stranger) {
    case Stranger::tls:
      return "tls";
    case Stranger::http:
      return "http";
    case Stranger::kafka:
      return "kafka";
    case Stranger::unknown:
      return "unknown";
  }
  return "unknown";
}

std::optional<Stranger> recognise_stranger(std::span<const std::byte> bytes) {
  if (bytes.size() < k_recognised_size || load_le<std::uint32_t>(bytes.data()) == k_magic) return {};
  if (looks_like_tls(bytes)) return Stranger::tls;
  if (looks_like_http(bytes)) return Stranger::http;
  if (looks_like_kafka(bytes)) return Stranger::kafka;
  return Stranger::unknown;
}

Error stranger_error(Stranger stranger) {
  const char* message = "these bytes are no Millrace frame; this port speaks the native protocol of Millrace";
  switch (stranger) {
    case Stranger::tls:
      message = "this looks like a TLS hello; this port speaks the native protocol of Millrace, without TLS";
      break;
    case Stranger::http:
      message = "this looks like an HTTP request; this port speaks the native protocol of Millrace";
      break;
    case Stranger::kafka:
      message = "this looks like a Kafka request; this port speaks the native protocol of Millrace";
      break;
    case Stranger::unknown:
      break;
  }
  return Error{ErrorCode::protocol_error, message};
}

}  // namespace millrace
