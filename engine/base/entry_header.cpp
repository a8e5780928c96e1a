#include "engine/base/entry_header.h"

#include <limits>

#include "engine/base/checksum.h"
#include "engine/base/endian.h"

namespace millrace {
namespace {

using Bytes = std::span<const std::byte, k_entry_header_size>;

std::uint64_t header_checksum_of(Bytes bytes) {
  const std::uint64_t checksum = xxh3(bytes.subspan<8>());
  return checksum == 0 ? 1 : checksum;
}

bool known(EntryType type) {
  return type >= EntryType::batch && type <= EntryType::gap;
}

// A RecordBatch's own header is 61 bytes, of which batch_length counts 49.
constexpr std::int32_t k_batch_length_of_batch_min = 49;

bool fields_in_range(const EntryHeader& header) {
  if (header.index < Index{1} || header.term < Term{1} || header.base_offset < Offset{0}) return false;
  if (header.batch_length > k_entry_batch_length_max) return false;
  if (header.type != EntryType::batch) {
    return header.offset_count == 0 && header.batch_length >= k_entry_batch_length_min;
  }
  constexpr std::uint32_t k_count_max = std::numeric_limits<std::int32_t>::max();
  return header.offset_count >= 1 && header.offset_count <= k_count_max &&
         header.batch_length >= k_batch_length_of_batch_min &&
         header.base_offset.value() <= std::numeric_limits<std::int64_t>::max() - header.offset_count;
}

}  // namespace

std::string_view name(HeaderVerdict verdict) {
  switch (verdict) {
    case HeaderVerdict::valid:
      return "valid";
    case HeaderVerdict::end:
      return "end";
    case HeaderVerdict::checksum_mismatch:
      return "checksum_mismatch";
    case HeaderVerdict::unknown_version:
      return "unknown_version";
    case HeaderVerdict::unknown_type:
      return "unknown_type";
    case HeaderVerdict::invalid_field:
      return "invalid_field";
  }
  return "unknown";
}

std::uint64_t encode(const EntryHeader& header, std::span<std::byte, k_entry_header_size> out) {
  std::byte* to = out.data();
  store_le<std::uint64_t>(to + 8, header.payload_checksum);
  store_le<std::uint64_t>(to + 16, header.prev_checksum);
  store_le<std::uint64_t>(to + 24, header.index.value());
  store_le<std::uint64_t>(to + 32, header.group.value());
  store_le<std::uint32_t>(to + 40, header.offset_count);
  store_le<std::uint8_t>(to + 44, static_cast<std::uint8_t>(header.type));
  store_le<std::uint8_t>(to + 45, header.version);
  store_le<std::uint16_t>(to + 46, header.flags);
  store_be<std::int64_t>(to + 48, header.base_offset.value());
  store_be<std::int32_t>(to + 56, header.batch_length);
  store_be<std::int32_t>(to + 60, header.term.value());
  const std::uint64_t checksum = header_checksum_of(out);
  store_le<std::uint64_t>(to, checksum);
  return checksum;
}

HeaderVerdict decode(std::span<const std::byte, k_entry_header_size> bytes, EntryHeader& header) {
  const std::byte* from = bytes.data();
  const auto stored = load_le<std::uint64_t>(from);
  if (stored == 0) return HeaderVerdict::end;
  header.header_checksum = stored;
  header.payload_checksum = load_le<std::uint64_t>(from + 8);
  header.prev_checksum = load_le<std::uint64_t>(from + 16);
  header.index = Index{load_le<std::uint64_t>(from + 24)};
  header.group = GroupId{load_le<std::uint64_t>(from + 32)};
  header.offset_count = load_le<std::uint32_t>(from + 40);
  header.type = static_cast<EntryType>(load_le<std::uint8_t>(from + 44));
  header.version = load_le<std::uint8_t>(from + 45);
  header.flags = load_le<std::uint16_t>(from + 46);
  header.base_offset = Offset{load_be<std::int64_t>(from + 48)};
  header.batch_length = load_be<std::int32_t>(from + 56);
  header.term = Term{load_be<std::int32_t>(from + 60)};
  if (stored != header_checksum_of(bytes)) return HeaderVerdict::checksum_mismatch;
  if (header.version != k_entry_version) return HeaderVerdict::unknown_version;
  if (!known(header.type)) return HeaderVerdict::unknown_type;
  return fields_in_range(header) ? HeaderVerdict::valid : HeaderVerdict::invalid_field;
}

Result<EntryHeader> decode_entry_header(std::span<const std::byte> bytes) {
  if (bytes.size() < k_entry_header_size) {
    return fail(ErrorCode::corruption, "an entry header needs {} bytes, only {} are there",
                k_entry_header_size, bytes.size());
  }
  EntryHeader header;
  const HeaderVerdict verdict = decode(bytes.first<k_entry_header_size>(), header);
  if (verdict == HeaderVerdict::valid) return header;
  if (verdict == HeaderVerdict::unknown_version) {
    return fail(ErrorCode::unsupported_version,
                "entry {} of group {} has version {}, this program reads {}; use the version that wrote it",
                header.index.value(), header.group.value(), header.version, k_entry_version);
  }
  return fail(ErrorCode::corruption,
              "entry header: {} (index {}, group {}, type {}, batch length {}, term {})", name(verdict),
              header.index.value(), header.group.value(), static_cast<int>(header.type), header.batch_length,
              header.term.value());
}

bool check_payload(const EntryHeader& header, std::span<const std::byte> payload) {
  return payload.size() == header.payload_size() && xxh3(payload) == header.payload_checksum;
}

}  // namespace millrace
