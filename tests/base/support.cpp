#include "tests/base/support.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "engine/base/checksum.h"
#include "engine/base/compression.h"
#include "engine/base/endian.h"
#include "engine/base/limits.h"
#include "engine/base/uuid.h"

namespace millrace::test {
namespace {

std::optional<ByteView> view_of(const std::optional<Bytes>& bytes) {
  if (!bytes) return std::nullopt;
  return ByteView(*bytes);
}

std::optional<Bytes> own(const std::optional<ByteView>& bytes) {
  if (!bytes) return std::nullopt;
  return copy_of(*bytes);
}

std::string golden_text(ByteView bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 16) {
    text += to_hex(bytes.subspan(i, std::min<std::size_t>(16, bytes.size() - i))) + "\n";
  }
  return text;
}

}  // namespace

void expect_golden(const std::string& name, ByteView bytes) {
  const std::string path = std::string(MILLRACE_GOLDEN_DIR) + "/" + name + ".hex";
  if (const char* rewrite = std::getenv("MILLRACE_REWRITE_GOLDEN");
      rewrite != nullptr && std::string_view(rewrite) == "1") {
    std::ofstream(path) << golden_text(bytes);
    return;
  }
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " cannot be read";
  std::stringstream stored;
  stored << file.rdbuf();
  EXPECT_EQ(golden_text(bytes), stored.str()) << path;
}

OwnedRecord own(const RecordView& record) {
  OwnedRecord owned{
      .timestamp = record.timestamp, .key = own(record.key), .value = own(record.value), .headers = {}};
  for (const RecordHeader& header : record.headers) owned.headers.emplace_back(header.key, own(header.value));
  return owned;
}

RecordView view_of(const OwnedRecord& record, std::vector<RecordHeader>& headers) {
  headers.clear();
  for (const auto& [key, value] : record.headers) headers.push_back({.key = key, .value = view_of(value)});
  return {.offset = Offset{0},
          .timestamp = record.timestamp,
          .key = view_of(record.key),
          .value = view_of(record.value),
          .headers = headers};
}

Bytes random_bytes(std::mt19937_64& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

OwnedRecord random_record(std::mt19937_64& random) {
  // Around the lengths where varints grow: 63/64 and 8191/8192.
  const auto size = [&]() -> std::size_t {
    switch (random() % 8) {
      case 0:
        return 0;
      case 1:
        return 8186 + random() % 12;
      default:
        return random() % 130;
    }
  };
  const auto field = [&]() -> std::optional<Bytes> {
    if (random() % 4 == 0) return std::nullopt;
    return random_bytes(random, size());
  };
  OwnedRecord record{.timestamp = 1'700'000'000'000 + static_cast<std::int64_t>(random() % 40'000) - 20'000,
                     .key = field(),
                     .value = field(),
                     .headers = {}};
  for (std::uint64_t i = random() % 4; i > 0; --i) {
    record.headers.emplace_back(to_hex(random_bytes(random, random() % 5)), field());
  }
  return record;
}

Bytes batch_of(std::span<const OwnedRecord> records, Codec codec) {
  BufferPool pool({.bytes_max = 64_MiB, .idle_bytes_max = 0});
  RecordBatchBuilder builder(pool);
  std::vector<RecordHeader> headers;
  for (const OwnedRecord& record : records) {
    EXPECT_EQ(builder.append(view_of(record, headers)), BatchAppend::appended);
  }
  const Result<Slice> batch = builder.finish(codec);
  if (!batch) {
    ADD_FAILURE() << batch.error().message;
    return {};
  }
  return copy_of(batch->bytes());
}

Bytes small_batch() {
  const std::vector<OwnedRecord> records = {
      {.timestamp = 1'700'000'000'000,
       .key = copy_of(bytes_of("k1")),
       .value = copy_of(bytes_of("one")),
       .headers = {}},
      {.timestamp = 1'700'000'000'250,
       .key = std::nullopt,
       .value = copy_of(bytes_of("two")),
       .headers = {{"trace", copy_of(bytes_of("\x01\x02"))}, {"none", std::nullopt}}},
      {.timestamp = 1'699'999'999'000, .key = Bytes(), .value = std::nullopt, .headers = {}},
  };
  return batch_of(records);
}

Result<std::vector<OwnedRecord>> read_all(const BatchHeader& header, ByteView batch) {
  Bytes storage;
  TRY(const ByteView records, Inflater().inflate_records(header, batch, storage));
  RecordReader reader(header, records);
  std::vector<OwnedRecord> result;
  RecordView record;
  for (;;) {
    TRY(const bool more, reader.next(record));
    if (!more) return result;
    result.push_back(own(record));
  }
}

void seal(Bytes& batch) {
  store_be<std::uint32_t>(batch.data() + 17, crc32c(ByteView(batch).subspan(k_batch_crc_begin)));
}

}  // namespace millrace::test
