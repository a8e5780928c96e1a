// Golden bytes in tests: what stands on disk, as hex, without the zeros behind it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/uuid.h"

namespace millrace::test {

using Bytes = std::vector<std::byte>;

[[nodiscard]] inline std::string to_golden(std::span<const std::byte> bytes) {
  while (!bytes.empty() && bytes.back() == std::byte{0}) bytes = bytes.first(bytes.size() - 1);
  return to_hex(bytes);
}

[[nodiscard]] inline Bytes from_golden(std::string_view hex, std::size_t size) {
  Bytes bytes = *parse_hex(hex);
  bytes.resize(size);
  return bytes;
}

// 00 01 02 ... for a 16-byte id, from `first` on.
template <class Id>
[[nodiscard]] Id counted_id(unsigned first) {
  Id id;
  for (std::byte& byte : id.bytes) byte = static_cast<std::byte>(first++);
  return id;
}

}  // namespace millrace::test
