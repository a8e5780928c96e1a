// The codecs of record batches: LZ4 frame and Zstandard. gzip and snappy batches are stored and handed on
// like any other, but this program does not decode them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/base/record_batch.h"

struct LZ4F_dctx_s;
struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace millrace {

// Bytes that a Compressor may need for `size` bytes. unsupported_compression for a codec that it refuses.
[[nodiscard]] Result<std::size_t> compressed_size_max(Codec codec, std::size_t size);

struct FreeCodecContext {
  void operator()(LZ4F_dctx_s* context) const;
  void operator()(ZSTD_CCtx_s* context) const;
  void operator()(ZSTD_DCtx_s* context) const;
};

// Compresses one batch after another. zstd's working memory, which costs more to make than a small batch to
// compress, is kept from the first on: 1.3 MiB for full batches. lz4 needs none.
class Compressor {
 public:
  // Compresses `in` into `out`, of at least compressed_size_max() bytes, and returns how many it wrote. LZ4
  // frames have independent blocks, because Kafka's Java client reads no others. Errors:
  // unsupported_compression for codecs other than lz4 and zstd; overloaded when there is no memory.
  [[nodiscard]] Result<std::size_t> compress(Codec codec, std::span<const std::byte> in,
                                             std::span<std::byte> out);
  // Of working memory.
  [[nodiscard]] std::size_t bytes_held() const;

 private:
  std::unique_ptr<ZSTD_CCtx_s, FreeCodecContext> zstd_;
};

// The reverse, with the decoders' working memory kept, unless a batch has made zstd's larger than
// k_inflater_bytes_kept.
class Inflater {
 public:
  // Puts what `in` holds into `storage` and returns that part of it. `storage` grows and never shrinks: given
  // again for the next batch, it saves the time to fill new memory with zeros. Never more than `size_max`
  // bytes, nor a larger window than that: record_too_large says so. Other errors: unsupported_compression,
  // naming the codec; corrupt_batch when the codec rejects the bytes or they end too early; overloaded when
  // there is no memory. An error leaves nothing behind that the next batch would notice.
  [[nodiscard]] Result<std::span<const std::byte>> inflate(
      Codec codec, std::span<const std::byte> in, std::vector<std::byte>& storage,
      std::uint64_t size_max = k_batch_inflated_size_max);

  // The records of a batch that has passed verify_batch() or check_batch(), ready for RecordReader: a view
  // into `batch` when it is not compressed, otherwise into `storage`, which the caller keeps. Errors as
  // inflate().
  [[nodiscard]] Result<std::span<const std::byte>> inflate_records(
      const BatchHeader& header, std::span<const std::byte> batch, std::vector<std::byte>& storage,
      std::uint64_t size_max = k_batch_inflated_size_max);

  // Of zstd's working memory.
  [[nodiscard]] std::size_t bytes_held() const;

 private:
  std::unique_ptr<LZ4F_dctx_s, FreeCodecContext> lz4_;
  std::unique_ptr<ZSTD_DCtx_s, FreeCodecContext> zstd_;
};

}  // namespace millrace
