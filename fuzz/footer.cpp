// The footer of a sealed segment.
//
// Input: u8 (1: repair position, length and checksum), u8 block at which the footer begins, u64 size of the
// file beyond it (where not repaired), u16 length of the blocks (where repaired), then the footer from its
// first byte to its last.
#include "engine/base/check.h"
#include "engine/log/format_bytes.h"
#include "engine/log/segment_format.h"
#include "fuzz/input.h"
#include "fuzz/repair.h"

namespace millrace::fuzz {
namespace {

void read_footer(Input input) {
  const bool repaired = (input.take<std::uint8_t>() & 1) != 0;
  const std::uint64_t position = std::uint64_t{input.take<std::uint8_t>()} * k_block_size;
  const auto stated_size = input.take<std::uint64_t>();
  const auto length = input.take<std::uint16_t>();
  Bytes bytes = input.take_rest();
  std::uint64_t file_size = stated_size;
  if (repaired) {
    // Blocks first, trailer last, zeros between, as in a file.
    const std::size_t size = round_up_to_block(bytes.size());
    const std::size_t trailer = std::min<std::size_t>(bytes.size(), k_footer_trailer_size);
    const Bytes tail(bytes.end() - static_cast<std::ptrdiff_t>(trailer), bytes.end());
    bytes.resize(bytes.size() - trailer);
    bytes.resize(size);
    std::ranges::copy(tail, bytes.end() - static_cast<std::ptrdiff_t>(trailer));
    repair_footer(bytes, position, length);
    file_size = position + bytes.size();
  }
  const auto all = std::span<const std::byte>(bytes);
  const auto found =
      footer_position(all.last(std::min<std::size_t>(all.size(), k_footer_trailer_size)), file_size);
  CHECK(!found || (*found >= k_block_size && *found < file_size && *found % k_block_size == 0));
  const auto footer = decode_footer(bytes, found.value_or(position));
  if (!footer) {
    CHECK(footer.error().code == ErrorCode::corruption, "{}", footer.error().message);
    return;
  }
  // What readers of the index rely on.
  for (const SparseIndexItem& item : footer->index) {
    CHECK(item.position >= k_block_size && item.position < footer->end_position);
    CHECK(item.position % k_entry_alignment == 0, "an entry at {}", item.position);
  }
  CHECK(footer->end_position % k_entry_alignment == 0, "entries end at {}", footer->end_position);
  Bytes again(footer_size(*footer));
  encode_footer(*footer, again);
  const auto twice = decode_footer(again, round_up_to_block(footer->end_position));
  CHECK(twice && *twice == *footer, "the footer came back changed");
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  millrace::fuzz::read_footer({data, size});
  return 0;
}
