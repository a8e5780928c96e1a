#include "fuzz/repair.h"

#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/base/entry_header.h"
#include "engine/base/limits.h"
#include "engine/base/record_batch.h"
#include "engine/log/journal_format.h"
#include "engine/log/segment_format.h"
#include "engine/wire/frame.h"

namespace millrace::fuzz {
namespace {

// Size of the entry at the beginning of `bytes`, without padding; 0 if its length is out of range or it is
// not all there.
std::uint32_t size_of_entry(std::span<const std::byte> bytes) {
  if (bytes.size() < k_entry_header_size) return 0;
  const auto batch_length = load_be<std::int32_t>(bytes.data() + 56);
  if (batch_length < k_entry_batch_length_min || batch_length > k_entry_batch_length_max) return 0;
  const std::uint32_t size = entry_size(batch_length);
  return size <= bytes.size() ? size : 0;
}

}  // namespace

void repair_block(std::span<std::byte> block) {
  if (block.size() >= 8) store_le<std::uint64_t>(block.data(), xxh3(block.subspan(8)));
}

std::uint64_t repair_entry(std::span<std::byte> bytes, std::uint64_t prev_checksum) {
  const std::uint32_t size = size_of_entry(bytes);
  if (size == 0) return 0;
  store_le<std::uint64_t>(bytes.data() + 8, xxh3(bytes.first(size).subspan(k_entry_header_size)));
  store_le<std::uint64_t>(bytes.data() + 16, prev_checksum);
  const auto header = bytes.first<k_entry_header_size>();
  const std::uint64_t checksum = xxh3(header.subspan<8>());
  store_le<std::uint64_t>(bytes.data(), checksum == 0 ? 1 : checksum);
  return load_le<std::uint64_t>(bytes.data());
}

LogEnd repair_entries(std::span<std::byte> bytes, GroupId group, LogEnd end) {
  while (const std::uint32_t size = size_of_entry(bytes)) {
    if (load_le<std::uint64_t>(bytes.data()) == 0) break;
    end.last_index = next(end.last_index);
    store_le<std::uint64_t>(bytes.data() + 24, end.last_index.value());
    store_le<std::uint64_t>(bytes.data() + 32, group.value());
    store_be<std::int64_t>(bytes.data() + 48, end.next_offset.value());
    end.chain = repair_entry(bytes, end.chain);
    EntryHeader header;
    if (decode(bytes.first<k_entry_header_size>(), header) != HeaderVerdict::valid) break;
    end.next_offset = header.next_offset();
    bytes = bytes.subspan(std::min<std::size_t>(bytes.size(), padded_size(size)));
  }
  return end;
}

void repair_batch(std::span<std::byte> batch) {
  if (batch.size() < k_batch_header_size) return;
  store_be<std::int32_t>(batch.data() + 8, static_cast<std::int32_t>(batch.size() - k_batch_length_base));
  store_be<std::uint32_t>(batch.data() + 17, crc32c(batch.subspan(k_batch_crc_begin)));
}

void repair_commit(std::span<std::byte> commit) {
  if (commit.size() < k_commit_header_size) return;
  const auto body = commit.subspan(k_commit_header_size);
  store_le<std::uint64_t>(commit.data() + 48, xxh3(body));
  store_le<std::uint32_t>(commit.data() + 56, static_cast<std::uint32_t>(body.size()));
  repair_block(commit.first(k_commit_header_size));
}

void repair_footer(std::span<std::byte> footer, std::uint64_t position, std::uint64_t length) {
  if (footer.size() < k_footer_trailer_size) return;
  std::byte* trailer = footer.data() + footer.size() - k_footer_trailer_size;
  store_le<std::uint64_t>(trailer + 16, position);
  store_le<std::uint64_t>(trailer + 24, length);
  XxhStream checksum;
  checksum.update(footer.first(footer.size() - k_footer_trailer_size));
  checksum.update(footer.last(k_footer_trailer_size - 8));
  store_le<std::uint64_t>(trailer, checksum.digest());
}

void repair_frame(std::span<std::byte> frame) {
  if (frame.size() < k_preamble_size) return;
  const auto table_length = load_le<std::uint32_t>(frame.data() + 16);
  if (table_length > frame.size() - k_preamble_size) return;
  constexpr std::size_t k_checked_size = 24;
  XxhStream checksum;
  checksum.update(frame.first(k_checked_size));
  checksum.update(frame.subspan(k_preamble_size, table_length));
  store_le<std::uint64_t>(frame.data() + k_checked_size, checksum.digest());
}

}  // namespace millrace::fuzz
