#include "engine/base/uuid.h"

#include <algorithm>
#include <array>

namespace millrace {
namespace {

constexpr std::string_view k_digits = "0123456789abcdef";
constexpr std::array<std::size_t, 4> k_dashes = {8, 13, 18, 23};
constexpr std::size_t k_uuid_text_size = 36;

// 0 to 15, or -1.
int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool dash_at(std::size_t i) {
  return std::ranges::find(k_dashes, i) != k_dashes.end();
}

std::unexpected<Error> no_uuid(std::string_view text) {
  return fail(ErrorCode::invalid_argument,
              "'{}' is no id; expected 32 hex digits, as 8-4-4-4-12 or without hyphens", text);
}

}  // namespace

std::string to_hex(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    text += k_digits[static_cast<std::size_t>(byte >> 4)];
    text += k_digits[static_cast<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

Result<std::vector<std::byte>> parse_hex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return fail(ErrorCode::invalid_argument, "{} hex digits; two a byte are expected", text.size());
  }
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) {
      const std::size_t wrong = high < 0 ? i : i + 1;
      return fail(ErrorCode::invalid_argument, "'{}' at {} is no hex digit", text[wrong], wrong);
    }
    bytes.push_back(static_cast<std::byte>(high << 4 | low));
  }
  return bytes;
}

std::string uuid_text(std::span<const std::byte, 16> bytes) {
  std::string text = to_hex(bytes);
  for (const std::size_t dash : k_dashes) text.insert(dash, 1, '-');
  return text;
}

Result<std::array<std::byte, 16>> parse_uuid_bytes(std::string_view text) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.size() != k_uuid_text_size || !dash_at(i) || text[i] != '-') digits += text[i];
  }
  const auto bytes = parse_hex(digits);
  if (!bytes || bytes->size() != 16) return no_uuid(text);
  std::array<std::byte, 16> result{};
  std::ranges::copy(*bytes, result.begin());
  return result;
}

}  // namespace millrace
