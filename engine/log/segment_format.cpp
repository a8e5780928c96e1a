#include "engine/log/segment_format.h"

#include "engine/base/checksum.h"
#include "engine/log/format_bytes.h"

namespace millrace {
namespace {

constexpr std::uint64_t k_segment_magic = magic_of("MRSEGMNT");
constexpr std::uint64_t k_footer_magic = magic_of("MRFOOTER");

enum class FooterBlock : std::uint32_t { sparse_index = 1, end = 2, sealed = 3 };

constexpr std::uint32_t k_block_header_size = 8;
constexpr std::uint32_t k_sparse_item_size = 32;
constexpr std::uint32_t k_end_size = 40;
constexpr std::uint32_t k_sealed_size = 8;

// Every body is a multiple of 8 bytes, so the blocks need no padding between them.
std::uint64_t blocks_length(const SegmentFooter& footer) {
  return std::uint64_t{3} * k_block_header_size + footer.index.size() * k_sparse_item_size + k_end_size +
         k_sealed_size;
}

std::uint64_t footer_size_of(std::uint64_t blocks) {
  return round_up_to_block(blocks + k_footer_trailer_size);
}

std::uint64_t footer_checksum(std::span<const std::byte> bytes) {
  XxhStream checksum;
  checksum.update(bytes.first(bytes.size() - k_footer_trailer_size));
  checksum.update(bytes.last(k_footer_trailer_size - 8));
  return checksum.digest();
}

struct Trailer {
  std::uint64_t checksum = 0;
  std::uint64_t position = 0;
  std::uint64_t length = 0;
};

std::optional<Trailer> decode_trailer(std::span<const std::byte> bytes) {
  FieldReader from(bytes);
  Trailer trailer;
  trailer.checksum = from.get<std::uint64_t>();
  if (from.get<std::uint64_t>() != k_footer_magic) return std::nullopt;
  trailer.position = from.get<std::uint64_t>();
  trailer.length = from.get<std::uint64_t>();
  if (from.get<std::uint32_t>() != k_segment_version || from.is_short()) return std::nullopt;
  return trailer;
}

bool decode_sparse_index(std::span<const std::byte> body, SegmentFooter& footer) {
  if (body.size() % k_sparse_item_size != 0) return false;
  FieldReader from(body);
  footer.index.reserve(body.size() / k_sparse_item_size);
  while (from.left() > 0) {
    SparseIndexItem item;
    item.index = Index{from.get<std::uint64_t>()};
    item.offset = Offset{from.get<std::int64_t>()};
    item.position = from.get<std::uint64_t>();
    item.max_timestamp = from.get<std::int64_t>();
    footer.index.push_back(item);
  }
  return true;
}

bool decode_end(std::span<const std::byte> body, SegmentFooter& footer) {
  if (body.size() != k_end_size) return false;
  FieldReader from(body);
  footer.end.last_index = Index{from.get<std::uint64_t>()};
  footer.end.next_offset = Offset{from.get<std::int64_t>()};
  footer.end.chain = from.get<std::uint64_t>();
  footer.end_position = from.get<std::uint64_t>();
  footer.max_timestamp = from.get<std::int64_t>();
  return true;
}

bool decode_block(FooterBlock type, std::span<const std::byte> body, SegmentFooter& footer) {
  switch (type) {
    case FooterBlock::sparse_index:
      return decode_sparse_index(body, footer);
    case FooterBlock::end:
      return decode_end(body, footer);
    case FooterBlock::sealed:
      if (body.size() != k_sealed_size) return false;
      footer.sealed_at = WallTime{load_le<std::int64_t>(body.data())};
      return true;
  }
  return true;  // a type of a later version: nothing that a reader must know
}

// A sparse index is searched by index, offset and position, so all three must rise, and stay inside the
// extents. Readers begin at such a position, and rely on entries being aligned.
bool index_in_order(const SegmentFooter& footer) {
  const SparseIndexItem* before = nullptr;
  for (const SparseIndexItem& item : footer.index) {
    if (item.position < k_block_size || item.position >= footer.end_position) return false;
    if (item.position % k_entry_alignment != 0) return false;
    if (item.index > footer.end.last_index || item.offset > footer.end.next_offset) return false;
    const bool rises = before == nullptr || (before->index < item.index && before->offset <= item.offset &&
                                             before->position < item.position);
    if (!rises) return false;
    before = &item;
  }
  return true;
}

}  // namespace

void encode_segment_header(const SegmentHeader& header, std::span<std::byte> into) {
  const auto block = into.first(k_block_size);
  FieldWriter to(block.subspan(8));
  to.put<std::uint64_t>(k_segment_magic);
  to.put<std::uint32_t>(k_segment_version);
  to.put<std::uint32_t>(0);
  to.put_bytes(header.cluster.bytes);
  to.put<std::uint64_t>(header.group.value());
  to.put<std::uint64_t>(header.first_index.value());
  to.put<std::int64_t>(header.first_offset.value());
  to.put<std::uint64_t>(header.chain_before);
  to.put<std::int64_t>(header.created_at.milliseconds);
  to.put_zeros(to.left());
  store_le<std::uint64_t>(block.data(), xxh3(block.subspan(8)));
}

Result<SegmentHeader> decode_segment_header(std::span<const std::byte> block) {
  if (block.size() < k_block_size) {
    return fail(ErrorCode::corruption, "a segment header needs {} bytes, only {} are there", k_block_size,
                block.size());
  }
  block = block.first(k_block_size);
  FieldReader from(block);
  const auto checksum = from.get<std::uint64_t>();
  if (from.get<std::uint64_t>() != k_segment_magic) {
    return fail(ErrorCode::corruption, "no segment header at position 0: the magic is missing");
  }
  if (checksum != xxh3(block.subspan(8))) {
    return fail(ErrorCode::corruption, "segment header at position 0: its checksum does not hold");
  }
  const auto version = from.get<std::uint32_t>();
  if (version != k_segment_version) {
    return fail(ErrorCode::unsupported_version,
                "segment of version {}, this program reads {}; use the version that wrote it", version,
                k_segment_version);
  }
  (void)from.get<std::uint32_t>();
  SegmentHeader header;
  std::ranges::copy(from.get_bytes(header.cluster.bytes.size()), header.cluster.bytes.begin());
  header.group = GroupId{from.get<std::uint64_t>()};
  header.first_index = Index{from.get<std::uint64_t>()};
  header.first_offset = Offset{from.get<std::int64_t>()};
  header.chain_before = from.get<std::uint64_t>();
  header.created_at = WallTime{from.get<std::int64_t>()};
  return header;
}

std::uint64_t footer_size(const SegmentFooter& footer) {
  return footer_size_of(blocks_length(footer));
}

void encode_footer(const SegmentFooter& footer, std::span<std::byte> into) {
  const auto bytes = into.first(footer_size(footer));
  FieldWriter to(bytes);
  to.put<std::uint32_t>(static_cast<std::uint32_t>(FooterBlock::sparse_index));
  to.put<std::uint32_t>(static_cast<std::uint32_t>(footer.index.size() * k_sparse_item_size));
  for (const SparseIndexItem& item : footer.index) {
    to.put<std::uint64_t>(item.index.value());
    to.put<std::int64_t>(item.offset.value());
    to.put<std::uint64_t>(item.position);
    to.put<std::int64_t>(item.max_timestamp);
  }
  to.put<std::uint32_t>(static_cast<std::uint32_t>(FooterBlock::end));
  to.put<std::uint32_t>(k_end_size);
  to.put<std::uint64_t>(footer.end.last_index.value());
  to.put<std::int64_t>(footer.end.next_offset.value());
  to.put<std::uint64_t>(footer.end.chain);
  to.put<std::uint64_t>(footer.end_position);
  to.put<std::int64_t>(footer.max_timestamp);
  to.put<std::uint32_t>(static_cast<std::uint32_t>(FooterBlock::sealed));
  to.put<std::uint32_t>(k_sealed_size);
  to.put<std::int64_t>(footer.sealed_at.milliseconds);
  to.put_zeros(to.left() - k_footer_trailer_size + 8);
  to.put<std::uint64_t>(k_footer_magic);
  to.put<std::uint64_t>(round_up_to_block(footer.end_position));
  to.put<std::uint64_t>(blocks_length(footer));
  to.put<std::uint32_t>(k_segment_version);
  to.put<std::uint32_t>(0);
  store_le<std::uint64_t>(bytes.data() + bytes.size() - k_footer_trailer_size, footer_checksum(bytes));
}

std::optional<std::uint64_t> footer_position(std::span<const std::byte> trailer, std::uint64_t file_size) {
  if (trailer.size() != k_footer_trailer_size) return std::nullopt;
  const auto decoded = decode_trailer(trailer);
  if (!decoded) return std::nullopt;
  const bool inside = decoded->position >= k_block_size && decoded->position % k_block_size == 0 &&
                      decoded->position < file_size && decoded->length < file_size;
  if (!inside || decoded->position + footer_size_of(decoded->length) != file_size) return std::nullopt;
  return decoded->position;
}

Result<SegmentFooter> decode_footer(std::span<const std::byte> bytes, std::uint64_t position) {
  const auto bad = [position](const char* what) {
    return fail(ErrorCode::corruption, "segment footer at position {}: {}", position, what);
  };
  if (bytes.size() < k_footer_trailer_size) return bad("too short");
  const auto trailer = decode_trailer(bytes.last(k_footer_trailer_size));
  if (!trailer) return bad("no trailer at its end");
  if (trailer->checksum != footer_checksum(bytes)) return bad("its checksum does not hold");
  if (trailer->position != position) return bad("it says that it stands elsewhere");
  if (trailer->length > bytes.size() - k_footer_trailer_size) return bad("its blocks are longer than it");

  SegmentFooter footer;
  bool has_end = false;
  FieldReader from(bytes.first(trailer->length));
  while (from.left() > 0) {
    const auto type = static_cast<FooterBlock>(from.get<std::uint32_t>());
    const auto length = from.get<std::uint32_t>();
    const auto body = from.get_bytes(round_up(length, k_entry_alignment));
    if (from.is_short()) return bad("a block runs over its end");
    if (!decode_block(type, body.first(length), footer)) return bad("a block of a wrong length");
    has_end = has_end || type == FooterBlock::end;
  }
  const bool end_holds = has_end && round_up_to_block(footer.end_position) == position &&
                         footer.end_position % k_entry_alignment == 0;
  if (!end_holds) return bad("its end block is missing or names another end");
  if (!index_in_order(footer)) return bad("its sparse index is out of order");
  return footer;
}

}  // namespace millrace
