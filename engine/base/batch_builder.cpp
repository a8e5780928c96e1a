#include "engine/base/batch_builder.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/checksum.h"
#include "engine/base/compression.h"
#include "engine/base/endian.h"
#include "engine/base/varint.h"

namespace millrace {
namespace {

// Bytes of a length and what it counts. Wrong for more than 2 GiB, but more than any limit then, too.
std::uint64_t field_size(std::uint64_t size) {
  return varint_size(static_cast<std::int32_t>(size)) + size;
}

std::uint64_t field_size(const std::optional<ByteView>& field) {
  return field ? field_size(field->size()) : 1;
}

std::byte* put(std::byte* to, const void* bytes, std::size_t size) {
  to = encode_varint(to, static_cast<std::int32_t>(size));
  if (size != 0) std::memcpy(to, bytes, size);
  return to + size;
}

std::byte* put(std::byte* to, const std::optional<ByteView>& field) {
  return field ? put(to, field->data(), field->size()) : encode_varint(to, std::int32_t{-1});
}

std::uint64_t headers_size(std::span<const RecordHeader> headers) {
  std::uint64_t size = varint_size(static_cast<std::int32_t>(headers.size()));
  for (const RecordHeader& header : headers) size += field_size(header.key.size()) + field_size(header.value);
  return size;
}

}  // namespace

std::string_view name(BatchAppend appended) {
  switch (appended) {
    case BatchAppend::appended:
      return "appended";
    case BatchAppend::full:
      return "full";
    case BatchAppend::record_too_large:
      return "record_too_large";
    case BatchAppend::overloaded:
      return "overloaded";
  }
  return "unknown";
}

RecordBatchBuilder::RecordBatchBuilder(BufferPool& pool, Options options) : pool_(pool), options_(options) {
  CHECK(options.size_max > k_batch_header_size && options.size_max <= k_batch_size_max, "size_max={}",
        options.size_max);
}

BatchAppend RecordBatchBuilder::append(const RecordView& record, std::int64_t timestamp) {
  const std::int64_t base_timestamp = count_ == 0 ? timestamp : base_timestamp_;
  // Wraps for times that are 292 million years apart, and wraps back in readers.
  const auto timestamp_delta = static_cast<std::int64_t>(static_cast<std::uint64_t>(timestamp) -
                                                         static_cast<std::uint64_t>(base_timestamp));
  const auto offset_delta = static_cast<std::int32_t>(count_);
  const std::uint64_t length = 1 + varint_size(timestamp_delta) + varint_size(offset_delta) +
                               field_size(record.key) + field_size(record.value) +
                               headers_size(record.headers);
  const std::uint64_t size = size_ + field_size(length);
  if (size > options_.size_max) [[unlikely]]
    return count_ == 0 ? BatchAppend::record_too_large : BatchAppend::full;
  if (!buffer_ || size > buffer_.capacity()) [[unlikely]] {
    if (!grow(static_cast<std::uint32_t>(size))) return BatchAppend::overloaded;
  }

  std::byte* to = encode_varint(buffer_.data() + size_, static_cast<std::int32_t>(length));
  *to++ = std::byte{0};  // attributes
  to = encode_varint(to, timestamp_delta);
  to = encode_varint(to, offset_delta);
  to = put(to, record.key);
  to = put(to, record.value);
  to = encode_varint(to, static_cast<std::int32_t>(record.headers.size()));
  for (const RecordHeader& header : record.headers) {
    to = put(to, header.key.data(), header.key.size());
    to = put(to, header.value);
  }

  max_timestamp_ = count_ == 0 ? timestamp : std::max(max_timestamp_, timestamp);
  base_timestamp_ = base_timestamp;
  size_ = static_cast<std::uint32_t>(size);
  ++count_;
  return BatchAppend::appended;
}

bool RecordBatchBuilder::grow(std::uint32_t size) {
  const std::uint32_t doubled =
      buffer_ ? buffer_.capacity() * 2 : std::min(options_.size_expected, options_.size_max);
  Result<Buffer> larger = pool_.acquire(std::max(size, doubled));
  if (!larger) return false;
  if (buffer_) std::memcpy(larger->data(), buffer_.data(), size_);
  buffer_ = *std::move(larger);
  return true;
}

Result<Slice> RecordBatchBuilder::finish(Codec codec, const ProducerStamp& producer) {
  if (count_ == 0)
    return fail(ErrorCode::invalid_argument, "a batch has at least one record; append one first");
  Result<Slice> batch = codec == Codec::none ? complete(buffer_, size_, Codec::none, producer)
                                             : finish_compressed(codec, producer);
  clear();
  return batch;
}

Slice RecordBatchBuilder::complete(Buffer buffer, std::uint32_t size, Codec codec,
                                   const ProducerStamp& producer) const {
  BatchHeader header{.base_offset = Offset{0},
                     .length = static_cast<std::int32_t>(size - k_batch_length_base),
                     .partition_leader_epoch = Term{-1},  // Kafka's "not known"
                     .attributes = static_cast<std::uint16_t>(codec),
                     .last_offset_delta = static_cast<std::int32_t>(count_ - 1),
                     .base_timestamp = base_timestamp_,
                     .max_timestamp = max_timestamp_,
                     .producer_id = producer.id,
                     .producer_epoch = producer.epoch,
                     .base_sequence = producer.sequence,
                     .record_count = static_cast<std::int32_t>(count_)};
  const std::span<std::byte> bytes = buffer.bytes().first(size);
  encode(header, bytes.first<k_batch_header_size>());
  header.crc = crc32c(bytes.subspan(k_batch_crc_begin));
  encode(header, bytes.first<k_batch_header_size>());
  return Slice{.buffer = std::move(buffer), .offset = 0, .length = size};
}

Result<Slice> RecordBatchBuilder::finish_compressed(Codec codec, const ProducerStamp& producer) const {
  const auto records = buffer_.bytes().subspan(k_batch_header_size, size_ - k_batch_header_size);
  TRY(const std::size_t size_max, compressed_size_max(codec, records.size()));
  Result<Buffer> compressed = pool_.acquire(k_batch_header_size + size_max);
  // The records are there already, and need no more memory as they are.
  if (!compressed) return complete(buffer_, size_, Codec::none, producer);
  Compressor own;
  Compressor& compressor = options_.compressor != nullptr ? *options_.compressor : own;
  TRY(const std::size_t size,
      compressor.compress(codec, records, compressed->bytes().subspan(k_batch_header_size)));
  if (size >= records.size()) return complete(buffer_, size_, Codec::none, producer);
  return complete(*std::move(compressed), k_batch_header_size + static_cast<std::uint32_t>(size), codec,
                  producer);
}

void RecordBatchBuilder::clear() {
  buffer_ = Buffer();
  size_ = k_batch_header_size;
  count_ = 0;
}

}  // namespace millrace
