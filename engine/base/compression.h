// The codecs of record batches: LZ4 frame and Zstandard. gzip and snappy batches are stored and handed on
// like any other, but this program does not decode them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/base/record_batch.h"

namespace millrace {

// Bytes that compress() may need for `size` bytes. unsupported_compression for a codec that compress()
// refuses.
[[nodiscard]] Result<std::size_t> compressed_size_max(Codec codec, std::size_t size);

// Compresses `in` into `out`, of at least compressed_size_max() bytes, and returns how many it wrote. LZ4
// frames have independent blocks, because Kafka's Java client reads no others. Errors:
// unsupported_compression for codecs other than lz4 and zstd.
[[nodiscard]] Result<std::size_t> compress(Codec codec, std::span<const std::byte> in,
                                           std::span<std::byte> out);

// Replaces the content of `out` by what `in` holds. Never more than `size_max` bytes, nor a larger window
// than that: record_too_large says so. Other errors: unsupported_compression, naming the codec; corrupt_batch
// when the codec rejects the bytes or they end too early.
[[nodiscard]] Result<void> decompress(Codec codec, std::span<const std::byte> in, std::vector<std::byte>& out,
                                      std::uint64_t size_max = k_batch_inflated_size_max);

// The records of a batch that has passed verify_batch() or check_batch(), ready for RecordReader: a view into
// `batch` when it is not compressed, otherwise into `storage`, which the caller keeps and may reuse. Errors
// as decompress().
[[nodiscard]] Result<std::span<const std::byte>> inflate_records(
    const BatchHeader& header, std::span<const std::byte> batch, std::vector<std::byte>& storage,
    std::uint64_t size_max = k_batch_inflated_size_max);

}  // namespace millrace
