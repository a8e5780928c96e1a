#include "engine/wire/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/endian.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte b : bytes) text += fmt::format("{:02x}", std::to_integer<int>(b));
  return text;
}

const Bytes k_table = bytes_of("a table!");

Bytes frame(Preamble preamble, const Bytes& table = k_table) {
  Bytes bytes(k_preamble_size);
  preamble.table_length = static_cast<std::uint32_t>(table.size());
  encode_preamble(preamble, table, bytes);
  return bytes;
}

ErrorCode refusal(const Bytes& bytes, std::uint64_t frame_size_max = k_frame_size_max) {
  const auto preamble = decode_preamble(bytes, frame_size_max);
  return preamble ? ErrorCode{} : preamble.error().code;
}

TEST(Frame, HasTheseBytesForEver) {
  const Bytes bytes =
      frame({.type = number(FrameType::produce), .correlation = 0x1122334455667788, .payload_length = 300});
  EXPECT_EQ(hex(bytes),
            "4d524c31"
            "01"
            "06"
            "0000"
            "8877665544332211"
            "08000000"
            "2c010000"
            "05cc4d08a663df1a");
}

TEST(Frame, ComesBackAsItWasWritten) {
  const Bytes bytes =
      frame({.type = answer_to(FrameType::fetch), .correlation = 42, .payload_length = 70'000});
  const auto preamble = decode_preamble(bytes, k_frame_size_max);
  ASSERT_TRUE(preamble) << preamble.error().message;
  EXPECT_EQ(preamble->version, k_protocol_version);
  EXPECT_EQ(preamble->type, 135);
  EXPECT_EQ(preamble->correlation, 42u);
  EXPECT_EQ(preamble->table_length, k_table.size());
  EXPECT_EQ(preamble->payload_length, 70'000u);
  EXPECT_EQ(preamble->frame_size(), 32 + 8 + 70'000u);
  EXPECT_TRUE(check_frame(bytes, k_table));
}

TEST(Frame, OfALargeTableHasTheChecksumOfTheWhole) {
  Bytes table(5000, std::byte{7});
  const Bytes bytes = frame({.type = 1}, table);
  EXPECT_TRUE(check_frame(bytes, table));
  table.back() = std::byte{8};
  EXPECT_FALSE(check_frame(bytes, table));
}

TEST(Frame, WithAnyFlippedBitIsRefused) {
  const Bytes good = frame({.type = 6, .correlation = 9, .payload_length = 10});
  for (std::size_t bit = 0; bit < (good.size() + k_table.size()) * 8; ++bit) {
    Bytes bytes = good;
    Bytes table = k_table;
    Bytes& hit = bit < good.size() * 8 ? bytes : table;
    const std::size_t at = bit < good.size() * 8 ? bit : bit - good.size() * 8;
    hit[at / 8] ^= std::byte{1} << (at % 8);
    const bool taken = decode_preamble(bytes, k_frame_size_max) && check_frame(bytes, table);
    EXPECT_FALSE(taken) << "bit " << bit;
  }
}

TEST(Frame, OfAnotherVersionIsNamed) {
  const auto refused = decode_preamble(frame({.version = 2}), k_frame_size_max);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unsupported_version);
  EXPECT_THAT(refused.error().message, HasSubstr("version 2"));
}

TEST(Frame, WithUnknownFlagsIsRefused) {
  for (const std::size_t at : {6u, 7u}) {
    Bytes bytes = frame({});
    bytes[at] = std::byte{1};
    EXPECT_EQ(refusal(bytes), ErrorCode::protocol_error);
  }
}

TEST(Frame, WithALengthAboveTheLimitIsRefusedBeforeAnythingIsAllocated) {
  const auto lying = [](std::uint32_t table, std::uint32_t payload) {
    Bytes bytes = frame({});
    store_le<std::uint32_t>(bytes.data() + 16, table);
    store_le<std::uint32_t>(bytes.data() + 20, payload);
    return refusal(bytes);
  };
  EXPECT_EQ(lying(k_table_size_max, 0), ErrorCode{});
  EXPECT_EQ(lying(k_table_size_max + 1, 0), ErrorCode::frame_too_large);
  EXPECT_EQ(lying(1u << 31, 0), ErrorCode::frame_too_large);
  EXPECT_EQ(lying(UINT32_MAX, 0), ErrorCode::frame_too_large);
  EXPECT_EQ(lying(8, k_frame_size_max - 40), ErrorCode{});
  EXPECT_EQ(lying(8, k_frame_size_max - 39), ErrorCode::frame_too_large);
  EXPECT_EQ(lying(8, 1u << 31), ErrorCode::frame_too_large);
  // Lengths whose 32-bit sum would wrap to something small.
  EXPECT_EQ(lying(8, UINT32_MAX), ErrorCode::frame_too_large);
  EXPECT_EQ(lying(UINT32_MAX, UINT32_MAX), ErrorCode::frame_too_large);
}

TEST(Frame, ObeysTheLimitThatTheReaderGives) {
  const Bytes bytes = frame({.payload_length = 1000});
  EXPECT_EQ(refusal(bytes, 1040), ErrorCode{});
  EXPECT_EQ(refusal(bytes, 1039), ErrorCode::frame_too_large);
}

TEST(Frame, TypesAreRequestsOnlyFromOneToTen) {
  for (unsigned n = 0; n < 256; ++n) {
    const auto type = request_type(static_cast<std::uint8_t>(n));
    EXPECT_EQ(type.has_value(), n >= 1 && n <= 12) << n;
    if (type) EXPECT_EQ(number(*type), n);
  }
  EXPECT_EQ(answer_to(FrameType::hello), 129);
  EXPECT_EQ(answer_to(FrameType::status), 138);
}

const std::vector<std::pair<Stranger, Bytes>>& strangers() {
  static const std::vector<std::pair<Stranger, Bytes>> all = {
      {Stranger::tls, bytes_of({"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11})},
      {Stranger::tls, bytes_of({"\x16\x03\x03\x00\xc8\x01\x00\x00\xc4\x03\x03", 11})},
      {Stranger::http, bytes_of("GET / HTTP/1.1\r\n")},
      {Stranger::http, bytes_of("POST /topics HTTP/1.1\r\n")},
      {Stranger::http, bytes_of("DELETE /topics HTTP/1.1\r\n")},
      {Stranger::http, bytes_of("PRI * HTTP/2.0\r\n")},
      // ApiVersions, version 3, of 34 bytes; Metadata, version 12.
      {Stranger::kafka, bytes_of({"\x00\x00\x00\x22\x00\x12\x00\x03\x00\x00\x00\x01", 12})},
      {Stranger::kafka, bytes_of({"\x00\x00\x01\x00\x00\x03\x00\x0c\x00\x00\x00\x01", 12})},
      {Stranger::unknown, bytes_of("garbage that nobody knows")},
      {Stranger::unknown, Bytes(16, std::byte{0})},
      {Stranger::unknown, Bytes(16, std::byte{0xff})},
      {Stranger::unknown, bytes_of("MRL2 what comes next")},
  };
  return all;
}

TEST(Frame, OfAnotherProtocolIsCalledByItsName) {
  for (const auto& [stranger, bytes] : strangers()) {
    EXPECT_EQ(recognise_stranger(bytes), stranger) << hex(bytes);
    Bytes whole = bytes;
    whole.resize(64);
    const auto refused = decode_preamble(whole, k_frame_size_max);
    ASSERT_FALSE(refused) << hex(bytes);
    EXPECT_EQ(refused.error().code, ErrorCode::protocol_error);
    EXPECT_EQ(refused.error().message, stranger_error(stranger).message);
  }
  EXPECT_THAT(stranger_error(Stranger::tls).message, HasSubstr("TLS"));
  EXPECT_THAT(stranger_error(Stranger::http).message, HasSubstr("HTTP"));
  EXPECT_THAT(stranger_error(Stranger::kafka).message, HasSubstr("Kafka"));
}

TEST(Frame, IsNoStrangersAsLongAsItsFirstBytesAreMissingOrOurs) {
  const Bytes ours = frame({});
  for (std::size_t n = 0; n <= ours.size(); ++n)
    EXPECT_FALSE(recognise_stranger(std::span(ours).first(n))) << n;
  for (const auto& [stranger, bytes] : strangers()) {
    for (std::size_t n = 0; n <= bytes.size(); ++n) {
      EXPECT_EQ(recognise_stranger(std::span(bytes).first(n)).has_value(), n >= k_recognised_size) << n;
    }
  }
}

}  // namespace
}  // namespace millrace
