// EntryDecoder: the records in fetched entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/compression.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/record_reader.h"

namespace millrace {

class EntryDecoder {
 public:
  // The inflater outlives the decoder; several decoders may share one.
  explicit EntryDecoder(Inflater& inflater) : inflater_(inflater) {}

  // Goes on with these entries (Fetched::entries).
  void feed(Slice entries);
  // Everything fed has been decoded.
  [[nodiscard]] bool done() const { return !reader_ && at_ == entries_.length; }

  // Fills `record` with the next one at or beyond `wanted`, and moves `wanted` behind it; false when the
  // entries are used up (`wanted` is then behind everything in them). Internal entries are passed over. Views
  // are valid until the next call. corruption (entry header, sizes), corrupt_batch, invalid_batch,
  // unsupported_compression, record_too_large (when inflated).
  [[nodiscard]] Result<bool> next(RecordView& record, Offset& wanted);

  // Of inflated records, beyond the entries: between batches k_inflated_bytes_kept at most.
  [[nodiscard]] std::size_t bytes_held() const { return inflated_.capacity(); }

 private:
  [[nodiscard]] Result<void> open_entry(Offset& wanted);
  void close_batch();

  Slice entries_;
  std::uint32_t at_ = 0;
  Offset batch_end_{0};  // behind the batch that reader_ reads
  std::optional<RecordReader> reader_;
  Inflater& inflater_;
  std::vector<std::byte> inflated_;
};

}  // namespace millrace
