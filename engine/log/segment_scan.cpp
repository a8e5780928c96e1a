#include "engine/log/segment_scan.h"

#include <algorithm>

#include "engine/base/record_batch.h"
#include "engine/log/format_bytes.h"
#include "engine/log/segment.h"

namespace millrace {
namespace {

constexpr std::uint64_t k_window_size = 1_MiB;

// The batch's own maximal timestamp; -1 for internal entries.
std::int64_t max_timestamp_of(const ScannedEntry& entry) {
  const auto batch = entry.bytes.subspan(k_batch_offset_in_entry);
  if (entry.header.type != EntryType::batch || batch.size() < k_batch_header_size) return -1;
  return decode_batch_header(batch.first<k_batch_header_size>()).max_timestamp;
}

std::unexpected<Error> ends_early(const File& file, std::uint64_t position, Index end, Index last) {
  return fail(
      ErrorCode::corruption,
      "{} at {}: its entries end with index {}, but it held entries up to index {}, unless the segment that "
      "begins with entry {} is missing",
      file.label(), position, end.value(), last.value(), end.value() + 1);
}

}  // namespace

void add_to_footer(SegmentFooter& footer, const ScannedEntry& entry) {
  const std::int64_t timestamp = max_timestamp_of(entry);
  footer.max_timestamp = std::max(footer.max_timestamp, timestamp);
  if (footer.index.empty() || entry.position >= footer.index.back().position + k_sparse_index_step) {
    footer.index.push_back({entry.header.index, entry.header.base_offset, entry.position, timestamp});
  } else {
    footer.index.back().max_timestamp = std::max(footer.index.back().max_timestamp, timestamp);
  }
}

ScanRange range_of(const SegmentHeader& header, std::optional<Index> last) {
  ScanRange range;
  range.before = {header.first_index - 1, header.first_offset, header.chain_before};
  range.last = last;
  return range;
}

SegmentScanner::SegmentScanner(Reactor& reactor, File file, GroupId group, ScanRange range)
    : reactor_(reactor),
      file_(std::move(file)),
      group_(group),
      range_(range),
      end_(range.before),
      position_(range.position) {}

std::unexpected<Error> SegmentScanner::damage(const std::string& what) const {
  return fail(ErrorCode::corruption, "{} at {}: {}", file_.label(), position_, what);
}

std::span<const std::byte> SegmentScanner::loaded(std::uint64_t length) const {
  return std::span<const std::byte>(window_.bytes()).subspan(position_ - window_begin_, length);
}

Task<Result<bool>> SegmentScanner::load(std::uint64_t length) {
  const auto holds = [&] {
    return position_ >= window_begin_ && position_ + length <= window_begin_ + window_length_;
  };
  if (holds()) co_return true;
  const std::uint64_t begin = position_ / k_block_size * k_block_size;
  const std::uint64_t size = std::max(k_window_size, round_up_to_block(position_ + length - begin));
  if (!window_ || window_.capacity() < size) {
    window_ = {};
    CO_TRY(window_, reactor_.buffers().acquire(size));
  }
  window_begin_ = begin;
  window_length_ = 0;
  CO_TRY(window_length_,
         co_await reactor_.read(file_, Slice{window_, 0, static_cast<std::uint32_t>(size)}, begin));
  co_return holds();
}

Result<void> SegmentScanner::check_header(const EntryHeader& header, HeaderVerdict verdict) const {
  if (verdict != HeaderVerdict::valid) {
    return damage(
        fmt::format("what should be entry {} is none: {}", end_.last_index.value() + 1, name(verdict)));
  }
  if (header.group != group_) {
    return damage(
        fmt::format("an entry of group {}, expected group {}", header.group.value(), group_.value()));
  }
  if (header.index != millrace::next(end_.last_index)) {
    return damage(fmt::format("entry {} after entry {}", header.index.value(), end_.last_index.value()));
  }
  if (header.prev_checksum != end_.chain) {
    return damage(fmt::format("the chain breaks: entry {} follows another entry {}", header.index.value(),
                              end_.last_index.value()));
  }
  if (header.base_offset != end_.next_offset) {
    return damage(fmt::format("entry {} begins at offset {}, expected {}", header.index.value(),
                              header.base_offset.value(), end_.next_offset.value()));
  }
  return {};
}

// The block ends with zeros behind the last entry, unless a cut has left another entry there.
Task<Result<void>> SegmentScanner::finish() {
  finished_ = true;
  if (position_ % k_block_size == 0) co_return Result<void>{};
  CO_TRY(const bool more, co_await load(sizeof(std::uint64_t)));
  if (!more || load_le<std::uint64_t>(loaded(sizeof(std::uint64_t)).data()) == 0) {
    position_ = round_up_to_block(position_);
  }
  co_return Result<void>{};
}

Task<Result<std::optional<ScannedEntry>>> SegmentScanner::next() {
  constexpr std::optional<ScannedEntry> k_nothing;
  while (!finished_) {
    if (position_ >= range_.end_position || (range_.last && end_.last_index >= *range_.last)) {
      CO_TRY_VOID(co_await finish());
      break;
    }
    CO_TRY(const bool has_header, co_await load(k_entry_header_size));
    EntryHeader header;
    const HeaderVerdict verdict =
        has_header ? decode(loaded(k_entry_header_size).first<k_entry_header_size>(), header)
                   : HeaderVerdict::end;
    if (verdict == HeaderVerdict::end) {
      // Extents stand one behind the other, so a block that begins with nothing is the end of the content.
      finished_ = !has_header || position_ % k_block_size == 0;
      position_ = round_up_to_block(position_);
      continue;
    }
    CO_TRY_VOID(check_header(header, verdict));
    const std::uint32_t size = entry_size(header.batch_length);
    CO_TRY(const bool has_payload, co_await load(size));
    if (!has_payload) co_return damage(fmt::format("the file ends inside entry {}", header.index.value()));
    const auto bytes = loaded(size);
    if (!check_payload(header, bytes.subspan(k_entry_header_size))) {
      co_return damage(
          fmt::format("the payload of entry {} does not match its checksum", header.index.value()));
    }
    const std::uint64_t position = position_;
    position_ += padded_size(size);
    end_ = {header.index, header.next_offset(), header.header_checksum};
    co_return ScannedEntry{header, position, bytes};
  }
  co_return k_nothing;
}

Task<Result<ScanEnd>> find_end(Reactor& reactor, File file, SegmentHeader header, Index last) {
  SegmentScanner scanner(reactor, file, header.group, range_of(header, last));
  while (true) {
    CO_TRY(const auto entry, co_await scanner.next());
    if (!entry) break;
  }
  if (scanner.end().last_index < last)
    co_return ends_early(file, scanner.position(), scanner.end().last_index, last);
  co_return ScanEnd{scanner.end(), scanner.position()};
}

Task<Result<SegmentHeader>> read_segment_header(Reactor& reactor, File file) {
  CO_TRY(Buffer block, reactor.buffers().acquire(k_block_size));
  CO_TRY(const std::uint64_t count, co_await reactor.read(file, Slice{block, 0, k_block_size}, 0));
  auto header = decode_segment_header(std::span<const std::byte>(block.bytes()).first(count));
  if (header) co_return header;
  co_return fail(header.error().code, "{}: {}", file.label(), header.error().message);
}

std::optional<std::string> whose_header(const SegmentHeader& header, ClusterId cluster, GroupId group,
                                        Index first) {
  if (header.cluster == cluster && header.group == group && header.first_index == first) return std::nullopt;
  return fmt::format("its header is that of segment {} of group {}{}", header.first_index.value(),
                     header.group.value(), header.cluster == cluster ? "" : " of another cluster");
}

Task<Result<std::optional<SegmentFooter>>> read_footer(Reactor& reactor, File file) {
  constexpr std::optional<SegmentFooter> k_nothing;
  CO_TRY(const std::uint64_t size, co_await reactor.size(file));
  if (size < std::uint64_t{2} * k_block_size || size % k_block_size != 0) co_return k_nothing;
  CO_TRY(Buffer buffer, reactor.buffers().acquire(k_block_size));
  CO_TRY(std::uint64_t count,
         co_await reactor.read(file, Slice{buffer, 0, k_block_size}, size - k_block_size));
  if (count != k_block_size) co_return k_nothing;
  const auto block = std::span<const std::byte>(buffer.bytes()).first(k_block_size);
  const auto position = footer_position(block.last(k_footer_trailer_size), size);
  if (!position) co_return k_nothing;
  const std::uint64_t length = size - *position;
  auto larger = reactor.buffers().acquire(length);
  if (!larger && larger.error().code == ErrorCode::invalid_argument) co_return k_nothing;
  if (!larger) co_return fail(std::move(larger).error());
  buffer = *std::move(larger);
  CO_TRY(count, co_await reactor.read(file, Slice{buffer, 0, static_cast<std::uint32_t>(length)}, *position));
  if (count != length) co_return k_nothing;
  auto footer = decode_footer(std::span<const std::byte>(buffer.bytes()).first(length), *position);
  if (!footer) co_return k_nothing;
  co_return *std::move(footer);
}

Task<Result<SegmentFooter>> rebuild_footer(Reactor& reactor, File file, SegmentHeader header, Index last) {
  SegmentScanner scanner(reactor, file, header.group, range_of(header, last));
  SegmentFooter footer;
  while (true) {
    CO_TRY(const auto entry, co_await scanner.next());
    if (!entry) break;
    add_to_footer(footer, *entry);
  }
  if (scanner.end().last_index < last)
    co_return ends_early(file, scanner.position(), scanner.end().last_index, last);
  footer.end = scanner.end();
  footer.end_position = scanner.position();
  co_return footer;
}

Task<Result<SegmentContent>> read_segment_content(Reactor& reactor, File file, Index last) {
  SegmentContent content;
  CO_TRY(content.header, co_await read_segment_header(reactor, file));
  CO_TRY(auto footer, co_await read_footer(reactor, file));
  if (footer && footer->end.last_index == last && last >= content.header.first_index) {
    content.footer = *std::move(footer);
    co_return content;
  }
  if (footer && footer->end.last_index < last)
    co_return ends_early(file, footer->end_position, footer->end.last_index, last);
  content.rebuilt = true;
  CO_TRY(content.footer, co_await rebuild_footer(reactor, file, content.header, last));
  co_return content;
}

}  // namespace millrace
