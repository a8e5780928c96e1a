#include "engine/base/compression.h"

#include <algorithm>
#include <bit>
#include <lz4frame.h>
#include <memory>
#include <zstd.h>
#include <zstd_errors.h>

namespace millrace {
namespace {

template <auto free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};
using Lz4Decoder = std::unique_ptr<LZ4F_dctx, FreeWith<LZ4F_freeDecompressionContext>>;
using ZstdDecoder = std::unique_ptr<ZSTD_DCtx, FreeWith<ZSTD_freeDCtx>>;

// What a compressed block is taken to grow to before anything is known: text and JSON come near it.
constexpr std::uint64_t k_inflation_guess = 4;

// Kafka's Java client refuses frames of dependent blocks. The batch has a CRC, so the frame needs none.
LZ4F_preferences_t lz4_preferences(std::size_t size) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.frameInfo.contentSize = size;
  return preferences;
}

std::unexpected<Error> unsupported(Codec codec) {
  return fail(ErrorCode::unsupported_compression,
              "compression {} is not decoded or made by this program; use lz4 or zstd", name(codec));
}

std::unexpected<Error> rejected(Codec codec, const char* reason) {
  return fail(ErrorCode::corrupt_batch, "the {} bytes of the batch do not decode: {}", name(codec), reason);
}

// What one step of a decoder did.
struct Step {
  std::size_t read = 0;
  std::size_t written = 0;
  bool frame_ended = false;
  const char* error = nullptr;
  bool window_too_large = false;
};

// Feeds `in` to `step(in, out) -> Step` until it is used up, growing `out` by doubling up to size_max. One
// frame or several in a row, as the decoders of other clients take them.
template <class Decode>
Result<void> inflate(Codec codec, std::span<const std::byte> in, std::vector<std::byte>& out,
                     std::uint64_t size_max, Decode decode) {
  std::size_t written = 0;
  out.resize(std::min(size_max, std::max<std::uint64_t>(in.size() * k_inflation_guess, 1024)));
  for (;;) {
    const Step step = decode(in, std::span(out).subspan(written));
    if (step.window_too_large) {
      return fail(ErrorCode::record_too_large,
                  "the {} batch wants a window of more than the {} bytes that are allowed", name(codec),
                  size_max);
    }
    if (step.error != nullptr) return rejected(codec, step.error);
    in = in.subspan(step.read);
    written += step.written;
    if (step.frame_ended && in.empty()) break;
    if (written == out.size()) {
      if (written == size_max) {
        // The frame may be at its end with only its own last bytes to come: one more byte of room tells.
        std::byte extra{};
        const Step last = decode(in, std::span(&extra, 1));
        if (last.error == nullptr && last.written == 0 && last.frame_ended && last.read == in.size()) break;
        if (last.error != nullptr) return rejected(codec, last.error);
        return fail(ErrorCode::record_too_large, "the {} batch holds more than the {} bytes that are allowed",
                    name(codec), size_max);
      }
      out.resize(std::min<std::uint64_t>(size_max, out.size() * 2));
    } else if (in.empty() || (step.read == 0 && step.written == 0)) {
      return rejected(codec, "they end too early");
    }
  }
  out.resize(written);
  return {};
}

Result<void> inflate_lz4(std::span<const std::byte> in, std::vector<std::byte>& out, std::uint64_t size_max) {
  LZ4F_dctx* context = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) != 0) {
    return fail(ErrorCode::overloaded, "no memory for an lz4 decoder");
  }
  const Lz4Decoder decoder(context);
  return inflate(Codec::lz4, in, out, size_max,
                 [&](std::span<const std::byte> from, std::span<std::byte> to) -> Step {
                   std::size_t read = from.size();
                   std::size_t written = to.size();
                   const std::size_t hint =
                       LZ4F_decompress(decoder.get(), to.data(), &written, from.data(), &read, nullptr);
                   if (LZ4F_isError(hint) != 0) return {.error = LZ4F_getErrorName(hint)};
                   return {.read = read, .written = written, .frame_ended = hint == 0};
                 });
}

Result<void> inflate_zstd(std::span<const std::byte> in, std::vector<std::byte>& out,
                          std::uint64_t size_max) {
  const ZstdDecoder decoder(ZSTD_createDCtx());
  if (decoder == nullptr) return fail(ErrorCode::overloaded, "no memory for a zstd decoder");
  const ZSTD_bounds window = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
  // The smallest window that all of a payload of the allowed size fits into.
  const int window_log =
      std::clamp(static_cast<int>(std::bit_width(std::max<std::uint64_t>(size_max, 1) - 1)),
                 window.lowerBound, window.upperBound);
  ZSTD_DCtx_setParameter(decoder.get(), ZSTD_d_windowLogMax, window_log);
  return inflate(
      Codec::zstd, in, out, size_max, [&](std::span<const std::byte> from, std::span<std::byte> to) -> Step {
        ZSTD_inBuffer input{.src = from.data(), .size = from.size(), .pos = 0};
        ZSTD_outBuffer output{.dst = to.data(), .size = to.size(), .pos = 0};
        const std::size_t hint = ZSTD_decompressStream(decoder.get(), &output, &input);
        if (ZSTD_isError(hint) != 0) {
          return {.error = ZSTD_getErrorName(hint),
                  .window_too_large = ZSTD_getErrorCode(hint) == ZSTD_error_frameParameter_windowTooLarge};
        }
        return {.read = input.pos, .written = output.pos, .frame_ended = hint == 0};
      });
}

}  // namespace

Result<std::size_t> compressed_size_max(Codec codec, std::size_t size) {
  if (codec == Codec::zstd) return ZSTD_compressBound(size);
  if (codec != Codec::lz4) return unsupported(codec);
  const LZ4F_preferences_t preferences = lz4_preferences(size);
  return LZ4F_compressFrameBound(size, &preferences);
}

Result<std::size_t> compress(Codec codec, std::span<const std::byte> in, std::span<std::byte> out) {
  if (codec == Codec::zstd) {
    const std::size_t size = ZSTD_compress(out.data(), out.size(), in.data(), in.size(), ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_isError(size) == 0) return size;
    return fail(ErrorCode::invalid_argument, "zstd cannot compress {} bytes: {}", in.size(),
                ZSTD_getErrorName(size));
  }
  if (codec != Codec::lz4) return unsupported(codec);
  const LZ4F_preferences_t preferences = lz4_preferences(in.size());
  const std::size_t size = LZ4F_compressFrame(out.data(), out.size(), in.data(), in.size(), &preferences);
  if (LZ4F_isError(size) == 0) return size;
  return fail(ErrorCode::invalid_argument, "lz4 cannot compress {} bytes: {}", in.size(),
              LZ4F_getErrorName(size));
}

Result<void> decompress(Codec codec, std::span<const std::byte> in, std::vector<std::byte>& out,
                        std::uint64_t size_max) {
  if (codec == Codec::lz4) return inflate_lz4(in, out, size_max);
  if (codec == Codec::zstd) return inflate_zstd(in, out, size_max);
  return unsupported(codec);
}

Result<std::span<const std::byte>> inflate_records(const BatchHeader& header,
                                                   std::span<const std::byte> batch,
                                                   std::vector<std::byte>& storage, std::uint64_t size_max) {
  const auto records = batch.first(header.size()).subspan(k_batch_header_size);
  if (header.codec() == Codec::none) return records;
  TRY_VOID(decompress(header.codec(), records, storage, size_max));
  return std::span<const std::byte>(storage);
}

}  // namespace millrace
