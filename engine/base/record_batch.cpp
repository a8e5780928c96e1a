#include "engine/base/record_batch.h"

#include <limits>

#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/base/record_parse.h"

namespace millrace {
namespace {

constexpr std::size_t k_crc_at = 17;
constexpr std::size_t k_producer_at = 43;

bool known(Codec codec) {
  return codec <= Codec::zstd;
}

Result<void> check_crc(const BatchHeader& header, std::span<const std::byte> batch) {
  const std::uint32_t computed = crc32c(batch.subspan(k_batch_crc_begin));
  if (computed == header.crc) return {};
  return fail(ErrorCode::corrupt_batch,
              "batch of {} bytes: its CRC-32C is {:#010x}, its bytes give {:#010x}; send it again",
              batch.size(), header.crc, computed);
}

Result<BatchHeader> header_of(std::span<const std::byte> bytes) {
  if (bytes.size() < k_batch_header_size) {
    return fail(ErrorCode::corrupt_batch, "a record batch has at least {} bytes, these are {}",
                k_batch_header_size, bytes.size());
  }
  return decode_batch_header(bytes.first<k_batch_header_size>());
}

Result<void> check_magic(const BatchHeader& header) {
  if (header.magic == k_batch_magic) return {};
  return fail(ErrorCode::invalid_batch, "batch of magic {}; only 2 (Kafka 0.11 and newer) is supported",
              header.magic);
}

// What only a server may set, and what this one does not do.
Result<void> check_attributes(const BatchHeader& header) {
  if ((header.attributes & k_attribute_control) != 0) {
    return fail(ErrorCode::invalid_batch,
                "control batches come from servers only; clear bit 5 of the attributes");
  }
  if ((header.attributes & k_attribute_transactional) != 0) {
    return fail(ErrorCode::invalid_batch, "transactions are not supported; clear bit 4 of the attributes");
  }
  if ((header.attributes & (k_attribute_log_append_time | k_attribute_delete_horizon)) != 0) {
    return fail(ErrorCode::invalid_batch,
                "attributes {:#06x}: bits 3 and 6 (log append time, delete horizon) are the server's",
                header.attributes);
  }
  if (!known(header.codec())) {
    return fail(ErrorCode::unsupported_compression, "codec {} does not exist; use none, lz4 or zstd",
                static_cast<int>(header.codec()));
  }
  return {};
}

Result<void> check_producer(const BatchHeader& header) {
  if (header.producer_id < -1) {
    return fail(ErrorCode::invalid_batch, "producer id {}; -1 is none, others are not negative",
                header.producer_id);
  }
  if (header.producer_id >= 0 && (header.producer_epoch < 0 || header.base_sequence < 0)) {
    return fail(ErrorCode::invalid_batch,
                "producer id {} with epoch {} and base sequence {}; neither may be negative",
                header.producer_id, header.producer_epoch, header.base_sequence);
  }
  return {};
}

// The first record that is none or has another offset delta than its place, `count` when there are bytes
// after the last one, or -1 when all is well.
std::int32_t first_bad_record(std::span<const std::byte> records, std::int32_t count) {
  const std::byte* from = records.data();
  const std::byte* const end = from + records.size();
  for (std::int32_t i = 0; i < count; ++i) {
    ParsedRecord record;
    if (parse_record(from, end, record) == nullptr || record.offset_delta != i) [[unlikely]]
      return i;
    if (!parse_headers(record, end, [](const ParsedField&, const ParsedField&) {})) [[unlikely]]
      return i;
    from = record.end;
  }
  return from == end ? -1 : count;
}

Result<void> check_records(const BatchHeader& header, std::span<const std::byte> records) {
  const std::int32_t bad = first_bad_record(records, header.record_count);
  if (bad < 0) [[likely]]
    return {};
  if (bad == header.record_count) {
    return fail(ErrorCode::invalid_batch, "bytes follow the last of the batch's {} records",
                header.record_count);
  }
  return fail(ErrorCode::invalid_batch,
              "record {} of {}: its lengths do not add up, or its offset delta is not {}", bad,
              header.record_count, bad);
}

}  // namespace

std::string_view name(Codec codec) {
  switch (codec) {
    case Codec::none:
      return "none";
    case Codec::gzip:
      return "gzip";
    case Codec::snappy:
      return "snappy";
    case Codec::lz4:
      return "lz4";
    case Codec::zstd:
      return "zstd";
  }
  return "unknown";
}

BatchHeader decode_batch_header(std::span<const std::byte, k_batch_header_size> bytes) {
  const std::byte* from = bytes.data();
  return {.base_offset = Offset{load_be<std::int64_t>(from)},
          .length = load_be<std::int32_t>(from + 8),
          .partition_leader_epoch = Term{load_be<std::int32_t>(from + 12)},
          .magic = load_be<std::int8_t>(from + 16),
          .crc = load_be<std::uint32_t>(from + 17),
          .attributes = load_be<std::uint16_t>(from + 21),
          .last_offset_delta = load_be<std::int32_t>(from + 23),
          .base_timestamp = load_be<std::int64_t>(from + 27),
          .max_timestamp = load_be<std::int64_t>(from + 35),
          .producer_id = load_be<std::int64_t>(from + 43),
          .producer_epoch = load_be<std::int16_t>(from + 51),
          .base_sequence = load_be<std::int32_t>(from + 53),
          .record_count = load_be<std::int32_t>(from + 57)};
}

void encode(const BatchHeader& header, std::span<std::byte, k_batch_header_size> out) {
  std::byte* to = out.data();
  store_be<std::int64_t>(to, header.base_offset.value());
  store_be<std::int32_t>(to + 8, header.length);
  store_be<std::int32_t>(to + 12, header.partition_leader_epoch.value());
  store_be<std::int8_t>(to + 16, header.magic);
  store_be<std::uint32_t>(to + 17, header.crc);
  store_be<std::uint16_t>(to + 21, header.attributes);
  store_be<std::int32_t>(to + 23, header.last_offset_delta);
  store_be<std::int64_t>(to + 27, header.base_timestamp);
  store_be<std::int64_t>(to + 35, header.max_timestamp);
  store_be<std::int64_t>(to + 43, header.producer_id);
  store_be<std::int16_t>(to + 51, header.producer_epoch);
  store_be<std::int32_t>(to + 53, header.base_sequence);
  store_be<std::int32_t>(to + 57, header.record_count);
}

ProducerStamp producer_of(std::span<const std::byte> batch) {
  const std::byte* from = batch.first<k_batch_header_size>().data();
  return {.id = load_be<std::int64_t>(from + k_producer_at),
          .epoch = load_be<std::int16_t>(from + k_producer_at + 8),
          .sequence = load_be<std::int32_t>(from + k_producer_at + 10)};
}

void stamp(std::span<std::byte> batch, const ProducerStamp& producer) {
  std::byte* to = batch.first<k_batch_header_size>().data();
  store_be<std::int64_t>(to + k_producer_at, producer.id);
  store_be<std::int16_t>(to + k_producer_at + 8, producer.epoch);
  store_be<std::int32_t>(to + k_producer_at + 10, producer.sequence);
  store_be<std::uint32_t>(to + k_crc_at, crc32c(batch.subspan(k_batch_crc_begin)));
}

Result<BatchHeader> check_batch(std::span<const std::byte> bytes, std::uint32_t size_max) {
  TRY(const BatchHeader header, header_of(bytes));
  if (bytes.size() > size_max) {
    return fail(ErrorCode::record_too_large,
                "batch of {} bytes, the limit is {}; send fewer records in a batch", bytes.size(), size_max);
  }
  TRY_VOID(check_magic(header));
  if (std::int64_t{header.length} + k_batch_length_base != static_cast<std::int64_t>(bytes.size())) {
    return fail(ErrorCode::invalid_batch,
                "batch of length {} in {} bytes; exactly one batch of length + {} is expected", header.length,
                bytes.size(), k_batch_length_base);
  }
  if (header.base_offset != Offset{0}) {
    return fail(ErrorCode::invalid_batch, "base offset {}; a client sends 0, the server assigns it",
                header.base_offset.value());
  }
  TRY_VOID(check_crc(header, bytes));
  if (header.record_count < 1 || std::int64_t{header.last_offset_delta} + 1 != header.record_count) {
    return fail(ErrorCode::invalid_batch,
                "{} records with a last offset delta of {}; at least one, and one offset a record",
                header.record_count, header.last_offset_delta);
  }
  TRY_VOID(check_attributes(header));
  TRY_VOID(check_producer(header));
  if (header.codec() == Codec::none) TRY_VOID(check_records(header, bytes.subspan(k_batch_header_size)));
  return header;
}

Result<BatchHeader> verify_batch(std::span<const std::byte> bytes) {
  TRY(const BatchHeader header, header_of(bytes));
  TRY_VOID(check_magic(header));
  const std::int64_t size = std::int64_t{header.length} + k_batch_length_base;
  if (size < k_batch_header_size || size > static_cast<std::int64_t>(bytes.size())) {
    return fail(ErrorCode::invalid_batch, "batch of length {} where {} bytes are left", header.length,
                bytes.size());
  }
  TRY_VOID(check_crc(header, bytes.first(header.size())));
  constexpr std::int64_t k_offset_max = std::numeric_limits<std::int64_t>::max();
  if (header.record_count < 1 || header.last_offset_delta < header.record_count - 1 ||
      header.base_offset < Offset{0} ||
      header.base_offset.value() > k_offset_max - header.last_offset_delta - 1) {
    return fail(ErrorCode::invalid_batch, "batch at offset {} with {} records and a last offset delta of {}",
                header.base_offset.value(), header.record_count, header.last_offset_delta);
  }
  return header;
}

}  // namespace millrace
