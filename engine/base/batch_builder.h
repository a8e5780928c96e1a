// Builds record batches into pool memory, ready to be sent.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/buffer.h"
#include "engine/base/record_batch.h"
#include "engine/base/record_reader.h"

namespace millrace {

class Compressor;

// What became of a record. Only `appended` took it; the others left the batch as it was.
enum class BatchAppend : std::uint8_t {
  appended,
  full,              // finish() this batch, append the record to the next one
  record_too_large,  // not even alone in a batch of size_max bytes
  overloaded,        // the pool has no memory for the batch to grow
};
[[nodiscard]] std::string_view name(BatchAppend appended);

// One batch after another: append() until it says `full` or the caller has enough, then finish(), and
// append() starts the next one. Memory comes from the pool at the first append(), grows by doubling, and
// leaves with finish().
class RecordBatchBuilder {
 public:
  struct Options {
    std::uint32_t size_max = k_batch_size_max;  // of a batch before compression, header included
    // Memory to begin with; a batch that is expected to get large is spared the copies of growing.
    std::uint32_t size_expected = k_batch_size_target;
    // Of whoever makes many compressed batches, and keeps it for all of them; nothing: each makes its own.
    Compressor* compressor = nullptr;
  };
  // The pool outlives the builder.
  explicit RecordBatchBuilder(BufferPool& pool) : RecordBatchBuilder(pool, Options{}) {}
  RecordBatchBuilder(BufferPool& pool, Options options);

  // Copies the record to the end of the batch; `offset` is ignored, records count from 0.
  [[nodiscard]] BatchAppend append(const RecordView& record) { return append(record, record.timestamp); }
  // The same, with a timestamp in the place of the record's own.
  [[nodiscard]] BatchAppend append(const RecordView& record, std::int64_t timestamp);

  // Bytes that finish(Codec::none) would give: 0 for an empty batch. Records in it.
  [[nodiscard]] std::uint32_t size() const { return count_ == 0 ? 0 : size_; }
  [[nodiscard]] std::uint32_t count() const { return count_; }

  // Completes the header (base offset 0, CRC) and hands out the batch; the builder is empty then, also when
  // it fails. With a codec, the batch is sent as it is when compressing gains nothing, or when the pool
  // has no memory for the compressed bytes. invalid_argument when empty; unsupported_compression for gzip and
  // snappy.
  [[nodiscard]] Result<Slice> finish(Codec codec = Codec::none, const ProducerStamp& producer = {});

 private:
  [[nodiscard]] bool grow(std::uint32_t size);
  [[nodiscard]] Slice complete(Buffer buffer, std::uint32_t size, Codec codec,
                               const ProducerStamp& producer) const;
  [[nodiscard]] Result<Slice> finish_compressed(Codec codec, const ProducerStamp& producer) const;
  void clear();

  BufferPool& pool_;
  Options options_;
  Buffer buffer_;
  std::uint32_t size_ = k_batch_header_size;
  std::uint32_t count_ = 0;
  std::int64_t base_timestamp_ = 0;
  std::int64_t max_timestamp_ = 0;
};

}  // namespace millrace
