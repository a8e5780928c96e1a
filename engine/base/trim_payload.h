// The payload of a trim entry: where the log starts from now on. Little endian: u64 index, i64 offset.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/endian.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace millrace {

inline constexpr std::uint32_t k_trim_payload_size = 16;

struct TrimPayload {
  Index start_index;    // of the first entry that is still there
  Offset start_offset;  // of the first record that is still there
  friend bool operator==(const TrimPayload&, const TrimPayload&) = default;
};

[[nodiscard]] inline std::array<std::byte, k_trim_payload_size> encode(const TrimPayload& trim) {
  std::array<std::byte, k_trim_payload_size> bytes{};
  store_le<std::uint64_t>(bytes.data(), trim.start_index.value());
  store_le<std::int64_t>(bytes.data() + 8, trim.start_offset.value());
  return bytes;
}

// corruption when the bytes are not 16, the index is 0 or the offset negative.
[[nodiscard]] inline Result<TrimPayload> decode_trim_payload(std::span<const std::byte> bytes) {
  if (bytes.size() != k_trim_payload_size) {
    return fail(ErrorCode::corruption, "trim entry with a payload of {} bytes, expected {}", bytes.size(),
                k_trim_payload_size);
  }
  const TrimPayload trim{.start_index = Index{load_le<std::uint64_t>(bytes.data())},
                         .start_offset = Offset{load_le<std::int64_t>(bytes.data() + 8)}};
  if (trim.start_index < Index{1} || trim.start_offset < Offset{0}) {
    return fail(ErrorCode::corruption, "trim entry to index {} and offset {}", trim.start_index.value(),
                trim.start_offset.value());
  }
  return trim;
}

}  // namespace millrace
