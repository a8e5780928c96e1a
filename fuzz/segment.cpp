// A segment file: header block, entries, and the footer that belongs to them.
//
// Input: u8 (1: repair the header block, 2: repair the entries and put them in order, 4: the last chunk is a
// footer, 8: repair it, 16: the file ends with its last chunk and not with a block), then chunks: the
// beginning of the header block, then what stands from the beginning of a block on. A footer's last 40 bytes
// are its trailer.
#include "engine/base/check.h"
#include "engine/log/format_bytes.h"
#include "engine/log/segment_scan.h"
#include "fuzz/input.h"
#include "fuzz/repair.h"
#include "fuzz/simulated.h"

namespace millrace::fuzz {
namespace {

constexpr const char* k_path = "data/segment";

Bytes footer_of(Bytes chunk, std::uint64_t position, bool repaired) {
  const std::size_t trailer = std::min<std::size_t>(chunk.size(), k_footer_trailer_size);
  const std::size_t blocks = chunk.size() - trailer;
  Bytes footer(round_up_to_block(chunk.size()));
  std::ranges::copy(std::span(chunk).first(blocks), footer.begin());
  std::ranges::copy(std::span(chunk).last(trailer), footer.end() - static_cast<std::ptrdiff_t>(trailer));
  if (repaired) repair_footer(footer, position, blocks);
  return footer;
}

Bytes file_of(Input& input) {
  const auto flags = input.take<std::uint8_t>();
  Bytes file = input.take_chunk();
  file.resize(k_block_size);
  if ((flags & 1) != 0) repair_block(file);
  SegmentHeader header;
  if (const auto decoded = decode_segment_header(file)) header = *decoded;
  LogEnd end = range_of(header).before;
  while (!input.empty()) {
    Bytes chunk = input.take_chunk();
    if (input.empty() && (flags & 4) != 0) {
      chunk = footer_of(std::move(chunk), file.size(), (flags & 8) != 0);
    } else if ((flags & 2) != 0) {
      end = repair_entries(chunk, header.group, end);
    }
    file.insert(file.end(), chunk.begin(), chunk.end());
    if ((flags & 16) == 0 || !input.empty()) file.resize(round_up_to_block(file.size()));
  }
  return file;
}

void expect_named(const Error& error) {
  CHECK(error.code == ErrorCode::corruption || error.code == ErrorCode::unsupported_version, "{}: {}",
        name(error.code), error.message);
}

// Reads the entries one after the other; what the other readers of segments make of the file must agree.
Task<void> read_segment(Reactor& reactor, std::uint64_t size) {
  File file = *co_await reactor.open(k_path, {.mode = OpenMode::read, .direct = true});
  const auto header = co_await read_segment_header(reactor, file);
  if (!header) co_return expect_named(header.error());
  SegmentScanner scanner(reactor, file, header->group, range_of(*header));
  SegmentFooter made;
  std::uint64_t position = k_block_size;
  bool whole = true;
  while (true) {
    const auto entry = co_await scanner.next();
    if (!entry) expect_named(entry.error());
    if (!entry) whole = false;
    if (!entry || !*entry) break;
    CHECK((*entry)->position >= position && (*entry)->position % k_entry_alignment == 0);
    position = (*entry)->position + (*entry)->bytes.size();
    CHECK(position <= round_up_to_block(size), "an entry that ends at {} of {}", position, size);
    add_to_footer(made, **entry);
  }
  const Index last = scanner.end().last_index;
  const auto content = co_await read_segment_content(reactor, file, last);
  const auto found = co_await find_end(reactor, file, *header, last);
  if (!whole) co_return;
  const auto footer = co_await read_footer(reactor, file);
  if (footer && *footer && (*footer)->end.last_index < last) {  // which of the two is wrong, nobody knows
    CHECK(!content && content.error().code == ErrorCode::corruption);
    co_return;
  }
  CHECK(content, "{}", content.error().message);
  CHECK(found && found->end == scanner.end());
  if (!content->rebuilt) co_return;  // the footer says what it says
  CHECK(content->footer.end == scanner.end() && content->footer.index == made.index);
  Bytes bytes(footer_size(content->footer));
  encode_footer(content->footer, bytes);
  const auto again = decode_footer(bytes, round_up_to_block(content->footer.end_position));
  CHECK(again && *again == content->footer, "a footer that was made again is none");
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millrace::fuzz;
  Input input(data, size);
  const Bytes file = file_of(input);
  SimulatedMachine machine;
  machine.write_file(k_path, file);
  machine.run([&](millrace::Reactor& reactor) { return read_segment(reactor, file.size()); });
  return 0;
}
