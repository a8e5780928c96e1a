#include "engine/base/record_reader.h"

#include "engine/base/record_parse.h"

namespace millrace {
namespace {

std::optional<ByteView> view(const ParsedField& field) {
  if (field.size < 0) return std::nullopt;
  return ByteView(field.data, static_cast<std::size_t>(field.size));
}

}  // namespace

RecordReader::RecordReader(const BatchHeader& header, ByteView records)
    : header_(header), at_(records.data()), end_(records.data() + records.size()) {}

Result<bool> RecordReader::next(RecordView& record) {
  if (index_ == header_.record_count) {
    if (at_ == end_) return false;
    return fail(ErrorCode::invalid_batch, "{} bytes follow the last record of the batch at offset {}",
                end_ - at_, header_.base_offset.value());
  }
  ParsedRecord parsed;
  headers_.clear();
  const auto add_header = [this](const ParsedField& key, const ParsedField& value) {
    const auto* text = reinterpret_cast<const char*>(key.data);
    headers_.push_back({.key = {text, static_cast<std::size_t>(key.size)}, .value = view(value)});
  };
  if (parse_record(at_, end_, parsed) == nullptr || !parse_headers(parsed, end_, add_header) ||
      parsed.offset_delta < 0 || parsed.offset_delta > header_.last_offset_delta) {
    return fail(ErrorCode::invalid_batch, "record {} of the batch at offset {} is damaged", index_,
                header_.base_offset.value());
  }
  record.offset = header_.base_offset + parsed.offset_delta;
  // Wraps for deltas that lie; a wrong time is all that comes of it.
  record.timestamp = (header_.attributes & k_attribute_log_append_time) != 0
                         ? header_.max_timestamp
                         : static_cast<std::int64_t>(static_cast<std::uint64_t>(header_.base_timestamp) +
                                                     static_cast<std::uint64_t>(parsed.timestamp_delta));
  record.key = view(parsed.key);
  record.value = view(parsed.value);
  record.headers = headers_;
  at_ = parsed.end;
  ++index_;
  return true;
}

}  // namespace millrace
