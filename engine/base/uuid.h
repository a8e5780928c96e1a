// Bytes and ids as text.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace millrace {

// "00ff10": two lower-case digits a byte.
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);
// The way back; either case. invalid_argument names the first wrong character.
[[nodiscard]] Result<std::vector<std::byte>> parse_hex(std::string_view text);

[[nodiscard]] std::string uuid_text(std::span<const std::byte, 16> bytes);
[[nodiscard]] Result<std::array<std::byte, 16>> parse_uuid_bytes(std::string_view text);

// "0123abcd-4567-89ab-cdef-0123456789ab" (RFC 9562 section 4).
template <class Tag>
[[nodiscard]] std::string to_string(const Uuid<Tag>& uuid) {
  return uuid_text(uuid.bytes);
}

// parse_uuid<TopicId>(text): that form, or its 32 digits alone, in either case; otherwise invalid_argument.
template <class U>
[[nodiscard]] Result<U> parse_uuid(std::string_view text) {
  TRY(const auto bytes, parse_uuid_bytes(text));
  return U{bytes};
}

}  // namespace millrace
