// Records as users see them, and how to get at them in a batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/record_batch.h"

namespace millrace {

using ByteView = std::span<const std::byte>;

struct RecordHeader {
  std::string_view key;
  std::optional<ByteView> value;
};

// One record; views into somebody else's bytes. An empty key and no key are different things.
struct RecordView {
  Offset offset;
  std::int64_t timestamp = 0;  // milliseconds since 1970
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  std::span<const RecordHeader> headers;
};

// Reads the records of one batch, first to last:
//
//   RecordReader reader(header, records);
//   RecordView record;
//   for (;;) {
//     TRY(const bool more, reader.next(record));
//     if (!more) break;
//     ...
//   }
//
// `header` has passed verify_batch() or check_batch(); `records` are the bytes after the header when codec()
// is none, otherwise what Inflater::inflate_records() (compression.h) made of them. The bytes may lie: next()
// says so.
class RecordReader {
 public:
  RecordReader(const BatchHeader& header, ByteView records);

  // Fills `record` and returns true, or returns false after the last record. Key and value point into the
  // records; `headers` is valid until the next call. invalid_batch when the bytes are no record, when fewer
  // or more records are there than the header says, or when an offset goes past the header's last.
  [[nodiscard]] Result<bool> next(RecordView& record);

 private:
  BatchHeader header_;
  const std::byte* at_;
  const std::byte* end_;
  std::int32_t index_ = 0;
  std::vector<RecordHeader> headers_;
};

}  // namespace millrace
