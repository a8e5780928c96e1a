// The grammar of one record inside a batch, once, for the server's check and for readers. Everything is
// inline: the check walks tens of millions of records a second through it and keeps only what it compares.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/varint.h"

namespace millrace {

// A field of a record: `size` is -1 for one that is absent.
struct ParsedField {
  const std::byte* data = nullptr;
  std::int32_t size = -1;
};

struct ParsedRecord {
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  ParsedField key;
  ParsedField value;
  std::int32_t header_count = 0;
  const std::byte* headers = nullptr;
  const std::byte* end = nullptr;  // of the record
};

// Reads a length and skips that many bytes. `limit` is the record's end, `end` that of all records: lengths
// are read up to there, so that only the last bytes of a batch leave the quick path of decode_varint().
// Returns nullptr when the field is not within the limit.
[[nodiscard]] inline const std::byte* parse_field(const std::byte* from, const std::byte* limit,
                                                  const std::byte* end, ParsedField& field) {
  from = decode_varint(from, end, field.size);
  if (from == nullptr || field.size < -1) [[unlikely]]
    return nullptr;
  const std::ptrdiff_t size = field.size < 0 ? 0 : field.size;
  if (size > limit - from) [[unlikely]]
    return nullptr;
  field.data = from;
  return from + size;
}

// Reads the record at `from`, all but its headers, and returns where they begin; nullptr when the bytes are
// no record. The record is whole only if parse_headers() says so, too.
[[nodiscard]] inline const std::byte* parse_record(const std::byte* from, const std::byte* end,
                                                   ParsedRecord& record) {
  std::int32_t length = 0;
  from = decode_varint(from, end, length);
  // One byte of attributes, which have no meaning yet and are taken as they are, precedes the rest.
  if (from == nullptr || length < 1 || length > end - from) [[unlikely]]
    return nullptr;
  record.end = from + length;
  from = decode_varint(from + 1, end, record.timestamp_delta);
  if (from == nullptr) [[unlikely]]
    return nullptr;
  from = decode_varint(from, end, record.offset_delta);
  if (from == nullptr) [[unlikely]]
    return nullptr;
  from = parse_field(from, record.end, end, record.key);
  if (from == nullptr) [[unlikely]]
    return nullptr;
  from = parse_field(from, record.end, end, record.value);
  if (from == nullptr) [[unlikely]]
    return nullptr;
  from = decode_varint(from, end, record.header_count);
  if (from == nullptr || record.header_count < 0) [[unlikely]]
    return nullptr;
  record.headers = from;
  return from;
}

// Calls visit(key, value) for each header; false when they do not fill the record to its last byte.
template <class Visit>
[[nodiscard]] inline bool parse_headers(const ParsedRecord& record, const std::byte* end, Visit visit) {
  const std::byte* from = record.headers;
  for (std::int32_t i = 0; i < record.header_count; ++i) {
    ParsedField key;
    ParsedField value;
    from = parse_field(from, record.end, end, key);
    if (from == nullptr || key.size < 0) return false;
    from = parse_field(from, record.end, end, value);
    if (from == nullptr) return false;
    visit(key, value);
  }
  return from == record.end;
}

}  // namespace millrace
