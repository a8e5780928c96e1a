// The entry header, its payload, and the payload of a trim entry.
//
// Input: u8 (1: repair the checksums), then an entry.
#include "engine/base/check.h"
#include "engine/base/entry_header.h"
#include "engine/base/trim_payload.h"
#include "fuzz/input.h"
#include "fuzz/repair.h"

namespace millrace::fuzz {
namespace {

void read_entry(Input input) {
  const bool repaired = (input.take<std::uint8_t>() & 1) != 0;
  Bytes bytes = input.take_rest();
  if (repaired && bytes.size() >= 24) repair_entry(bytes, load_le<std::uint64_t>(bytes.data() + 16));
  const auto decoded = decode_entry_header(bytes);
  if (!decoded) {
    const ErrorCode code = decoded.error().code;
    CHECK(code == ErrorCode::corruption || code == ErrorCode::unsupported_version, "{}",
          decoded.error().message);
    return;
  }
  const EntryHeader& header = *decoded;
  Bytes again(k_entry_header_size);
  encode(header, std::span(again).first<k_entry_header_size>());
  CHECK(std::ranges::equal(again, std::span(bytes).first(k_entry_header_size)),
        "the header came back changed");
  CHECK(padded_entry_size(header.batch_length) >= k_entry_header_size + header.payload_size());
  CHECK(header.next_offset() >= header.base_offset);

  const auto payload = std::span(bytes).subspan(k_entry_header_size);
  const bool whole =
      check_payload(header, payload.first(std::min<std::size_t>(payload.size(), header.payload_size())));
  CHECK(!whole || payload.size() >= header.payload_size());
  if (const auto trim = decode_trim_payload(payload)) {
    CHECK(std::ranges::equal(encode(*trim), payload), "the trim came back changed");
  }
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  millrace::fuzz::read_entry({data, size});
  return 0;
}
