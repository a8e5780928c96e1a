// What the tests of engine/base share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/batch_builder.h"
#include "engine/base/buffer.h"
#include "engine/base/record_reader.h"

namespace millrace::test {

using Bytes = std::vector<std::byte>;

inline ByteView bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
inline Bytes copy_of(ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}

// Compares with tests/base/golden/<name>.hex (hex digits, 16 bytes a line). With MILLRACE_REWRITE_GOLDEN=1 in
// the environment it writes the file instead; the change is then reviewed as a diff.
void expect_golden(const std::string& name, ByteView bytes);

// A record that owns what RecordView points to.
struct OwnedRecord {
  std::int64_t timestamp = 0;
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  std::vector<std::pair<std::string, std::optional<Bytes>>> headers;
  bool operator==(const OwnedRecord&) const = default;
};
OwnedRecord own(const RecordView& record);
// Valid as long as `record` and `headers`, which it fills.
RecordView view_of(const OwnedRecord& record, std::vector<RecordHeader>& headers);

OwnedRecord random_record(std::mt19937_64& random);
Bytes random_bytes(std::mt19937_64& random, std::size_t size);

// One batch of these records.
Bytes batch_of(std::span<const OwnedRecord> records, Codec codec = Codec::none);
// Three small records.
Bytes small_batch();
// All records of a batch that has passed verify_batch() or check_batch().
Result<std::vector<OwnedRecord>> read_all(const BatchHeader& header, ByteView batch);

// Makes the batch's CRC fit its bytes again, as a client that lies would.
void seal(Bytes& batch);

}  // namespace millrace::test
