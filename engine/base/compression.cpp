#include "engine/base/compression.h"

#include <algorithm>
#include <bit>
#include <lz4frame.h>
#include <zstd.h>
#include <zstd_errors.h>

namespace millrace {
namespace {

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

// Feeds `in` to `step(in, out) -> Step` until it is used up, growing `storage` by doubling up to size_max.
// One frame or several in a row, as the decoders of other clients take them.
template <class Decode>
Result<std::span<const std::byte>> inflate_with(Codec codec, std::span<const std::byte> in,
                                                std::vector<std::byte>& storage, std::uint64_t size_max,
                                                Decode decode) {
  std::size_t written = 0;
  const std::size_t guess = std::max<std::uint64_t>(in.size() * k_inflation_guess, 1024);
  if (storage.size() < std::min(size_max, guess)) {
    storage.clear();  // nothing in it is worth a copy
    storage.resize(std::min(size_max, guess));
  }
  std::span<std::byte> out = std::span(storage).first(std::min(size_max, storage.size()));
  for (;;) {
    const Step step = decode(in, out.subspan(written));
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
      storage.resize(std::min<std::uint64_t>(size_max, out.size() * 2));
      out = storage;
    } else if (in.empty() || (step.read == 0 && step.written == 0)) {
      return rejected(codec, "they end too early");
    }
  }
  return out.first(written);
}

using Inflated = Result<std::span<const std::byte>>;

Inflated inflate_lz4(LZ4F_dctx* decoder, std::span<const std::byte> in, std::vector<std::byte>& storage,
                     std::uint64_t size_max) {
  return inflate_with(Codec::lz4, in, storage, size_max,
                      [&](std::span<const std::byte> from, std::span<std::byte> to) -> Step {
                        std::size_t read = from.size();
                        std::size_t written = to.size();
                        const std::size_t hint =
                            LZ4F_decompress(decoder, to.data(), &written, from.data(), &read, nullptr);
                        if (LZ4F_isError(hint) != 0) return {.error = LZ4F_getErrorName(hint)};
                        return {.read = read, .written = written, .frame_ended = hint == 0};
                      });
}

Inflated inflate_zstd(ZSTD_DCtx* decoder, std::span<const std::byte> in, std::vector<std::byte>& storage,
                      std::uint64_t size_max) {
  const ZSTD_bounds window = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
  // The smallest window that all of a payload of the allowed size fits into.
  const int window_log =
      std::clamp(static_cast<int>(std::bit_width(std::max<std::uint64_t>(size_max, 1) - 1)),
                 window.lowerBound, window.upperBound);
  ZSTD_DCtx_setParameter(decoder, ZSTD_d_windowLogMax, window_log);
  return inflate_with(
      Codec::zstd, in, storage, size_max,
      [&](std::span<const std::byte> from, std::span<std::byte> to) -> Step {
        ZSTD_inBuffer input{.src = from.data(), .size = from.size(), .pos = 0};
        ZSTD_outBuffer output{.dst = to.data(), .size = to.size(), .pos = 0};
        const std::size_t hint = ZSTD_decompressStream(decoder, &output, &input);
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

void FreeCodecContext::operator()(LZ4F_dctx_s* context) const {
  LZ4F_freeDecompressionContext(context);
}
void FreeCodecContext::operator()(ZSTD_CCtx_s* context) const {
  ZSTD_freeCCtx(context);
}
void FreeCodecContext::operator()(ZSTD_DCtx_s* context) const {
  ZSTD_freeDCtx(context);
}

Result<std::size_t> Compressor::compress(Codec codec, std::span<const std::byte> in,
                                         std::span<std::byte> out) {
  if (codec == Codec::zstd) {
    if (!zstd_) zstd_.reset(ZSTD_createCCtx());
    if (!zstd_) return fail(ErrorCode::overloaded, "no memory for a zstd encoder");
    const std::size_t size =
        ZSTD_compressCCtx(zstd_.get(), out.data(), out.size(), in.data(), in.size(), ZSTD_CLEVEL_DEFAULT);
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

std::size_t Compressor::bytes_held() const {
  return ZSTD_sizeof_CCtx(zstd_.get());
}

// A context is reset before it is used: whatever the batch before has left in it, an error included, is gone.
Result<std::span<const std::byte>> Inflater::inflate(Codec codec, std::span<const std::byte> in,
                                                     std::vector<std::byte>& storage,
                                                     std::uint64_t size_max) {
  if (codec == Codec::lz4) {
    LZ4F_dctx* made = nullptr;
    if (!lz4_ && LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)) != 0) {
      return fail(ErrorCode::overloaded, "no memory for an lz4 decoder");
    }
    if (!lz4_) lz4_.reset(made);
    LZ4F_resetDecompressionContext(lz4_.get());
    return inflate_lz4(lz4_.get(), in, storage, size_max);
  }
  if (codec != Codec::zstd) return unsupported(codec);
  if (!zstd_) zstd_.reset(ZSTD_createDCtx());
  if (!zstd_) return fail(ErrorCode::overloaded, "no memory for a zstd decoder");
  ZSTD_DCtx_reset(zstd_.get(), ZSTD_reset_session_only);
  auto inflated = inflate_zstd(zstd_.get(), in, storage, size_max);
  if (bytes_held() > k_inflater_bytes_kept) zstd_.reset();
  return inflated;
}

Result<std::span<const std::byte>> Inflater::inflate_records(const BatchHeader& header,
                                                             std::span<const std::byte> batch,
                                                             std::vector<std::byte>& storage,
                                                             std::uint64_t size_max) {
  const auto records = batch.first(header.size()).subspan(k_batch_header_size);
  if (header.codec() == Codec::none) return records;
  return inflate(header.codec(), records, storage, size_max);
}

std::size_t Inflater::bytes_held() const {
  return ZSTD_sizeof_DCtx(zstd_.get());
}

}  // namespace millrace
