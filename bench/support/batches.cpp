#include "bench/support/batches.h"

#include <cstring>
#include <vector>

#include "engine/base/batch_builder.h"

namespace millrace::bench {

Result<Slice> batch_of_one(BufferPool& pool, std::uint32_t value_size) {
  std::vector<std::byte> value(value_size);
  std::uint32_t state = 1;
  for (std::byte& byte : value) {
    state = state * 1664525u + 1013904223u;  // Numerical Recipes' generator
    byte = static_cast<std::byte>(state >> 24);
  }
  RecordBatchBuilder builder(pool);
  const BatchAppend appended =
      builder.append({.offset = {}, .timestamp = 1, .key = {}, .value = value, .headers = {}});
  if (appended != BatchAppend::appended)
    return fail(ErrorCode::invalid_argument, "a value of {} bytes: {}", value_size, name(appended));
  return builder.finish();
}

Result<Slice> batch_of_size(BufferPool& pool, std::uint32_t size, std::uint32_t offset) {
  TRY(const Slice one, batch_of_one(pool, 1));
  // The two lengths, of the record and of its value, take up to 4 bytes more each than that of one byte.
  for (std::uint32_t more = 0; more <= 8 && one.length + more <= size; ++more) {
    TRY(const Slice batch, batch_of_one(pool, size - one.length + 1 - more));
    if (batch.length != size) continue;
    TRY(Buffer buffer, pool.acquire(std::uint64_t{offset} + size + k_block_size));
    std::memcpy(buffer.data() + offset, batch.bytes().data(), size);
    return Slice{std::move(buffer), offset, size};
  }
  return fail(ErrorCode::invalid_argument, "no batch of one record takes {} bytes", size);
}

}  // namespace millrace::bench
