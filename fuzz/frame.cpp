// The stream of frames that a peer sends, as far as it can be judged without its tables.
//
// Input: u8 (1: repair the checksums), then the stream.
#include "engine/wire/frame.h"

#include "engine/base/check.h"
#include "fuzz/input.h"
#include "fuzz/repair.h"

namespace millrace::fuzz {
namespace {

// The first frame of the stream; nothing when the rest cannot be read.
std::optional<std::uint64_t> read_frame(std::span<std::byte> stream, bool repaired) {
  const auto stranger = recognise_stranger(stream);
  if (stream.size() < k_preamble_size) {
    if (stranger) (void)stranger_error(*stranger);
    return std::nullopt;
  }
  if (repaired) repair_frame(stream);
  const auto preamble = decode_preamble(stream, k_frame_size_max);
  if (!preamble) {
    const ErrorCode code = preamble.error().code;
    CHECK(code == ErrorCode::protocol_error || code == ErrorCode::unsupported_version ||
              code == ErrorCode::frame_too_large,
          "{}", preamble.error().message);
    return std::nullopt;
  }
  CHECK(!stranger, "a frame that looked like {}", name(*stranger));
  CHECK(preamble->table_length <= k_table_size_max && preamble->frame_size() <= k_frame_size_max);
  if (stream.size() - k_preamble_size < preamble->table_length) return std::nullopt;
  const auto table = stream.subspan(k_preamble_size, preamble->table_length);
  if (!check_frame(stream, table)) return std::nullopt;
  Bytes again(k_preamble_size);
  encode_preamble(*preamble, table, again);
  CHECK(std::ranges::equal(again, stream.first(k_preamble_size)), "the preamble came back changed");
  if (const auto type = request_type(preamble->type)) CHECK(number(*type) == preamble->type);
  return preamble->frame_size();
}

void read_stream(Input input) {
  const bool repaired = (input.take<std::uint8_t>() & 1) != 0;
  Bytes stream = input.take_rest();
  std::span<std::byte> rest = stream;
  while (const auto size = read_frame(rest, repaired)) {
    if (*size >= rest.size()) break;
    rest = rest.subspan(*size);
  }
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  millrace::fuzz::read_stream({data, size});
  return 0;
}
