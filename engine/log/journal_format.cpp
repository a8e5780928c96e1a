#include "engine/log/journal_format.h"

#include "engine/base/checksum.h"
#include "engine/base/entry_header.h"
#include "engine/log/format_bytes.h"

namespace millrace {
namespace {

constexpr std::uint64_t k_commit_magic = magic_of("MRCOMMIT");

constexpr std::uint32_t k_vote_size = 8;
constexpr std::uint32_t k_extent_size = 72;
constexpr std::uint32_t k_cut_size = 40;
constexpr std::uint32_t k_group_state_size = 80;  // without the configuration
constexpr std::uint32_t k_checkpoint_end_size = 24;
constexpr std::uint32_t k_producer_size = 16;  // without its batches
constexpr std::uint32_t k_producer_batch_size = 16;

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

std::uint32_t voted_for_on_disk(const std::optional<NodeId>& node) {
  return node ? node->value() + 1 : 0;
}

std::optional<NodeId> voted_for_from_disk(std::uint32_t number) {
  if (number == 0) return std::nullopt;
  return NodeId{number - 1};
}

std::uint32_t body_size(const JournalRecordBody& body) {
  return std::visit(
      Overloaded{
          [](const EntryRecord& record) { return static_cast<std::uint32_t>(record.entry.size()); },
          [](const VoteRecord&) { return k_vote_size; },
          [](const ExtentRecord&) { return k_extent_size; },
          [](const CutRecord&) { return k_cut_size; },
          [](const GroupStateRecord&) { return k_group_state_size; },
          [](const CheckpointEndRecord&) { return k_checkpoint_end_size; },
          [](const GroupRemovedRecord&) { return 0U; },
          [](const ProducerRecord& record) {
            return k_producer_size + k_producer_batch_size * record.state.count;
          },
      },
      body);
}

JournalRecordType type_of(const JournalRecordBody& body) {
  return std::visit(Overloaded{
                        [](const EntryRecord&) { return JournalRecordType::entry; },
                        [](const VoteRecord&) { return JournalRecordType::vote; },
                        [](const ExtentRecord&) { return JournalRecordType::extent; },
                        [](const CutRecord&) { return JournalRecordType::cut; },
                        [](const GroupStateRecord&) { return JournalRecordType::group_state; },
                        [](const CheckpointEndRecord&) { return JournalRecordType::checkpoint_end; },
                        [](const GroupRemovedRecord&) { return JournalRecordType::group_removed; },
                        [](const ProducerRecord&) { return JournalRecordType::producer; },
                    },
                    body);
}

void put_end(FieldWriter& to, const LogEnd& end) {
  to.put<std::uint64_t>(end.last_index.value());
  to.put<std::int64_t>(end.next_offset.value());
  to.put<std::uint64_t>(end.chain);
}

LogEnd get_end(FieldReader& from) {
  LogEnd end;
  end.last_index = Index{from.get<std::uint64_t>()};
  end.next_offset = Offset{from.get<std::int64_t>()};
  end.chain = from.get<std::uint64_t>();
  return end;
}

void put(FieldWriter& to, const VoteRecord& record) {
  to.put<std::int32_t>(record.term.value());
  to.put<std::uint32_t>(voted_for_on_disk(record.voted_for));
}

void put(FieldWriter& to, const ExtentRecord& record) {
  to.put<std::uint64_t>(record.segment.value());
  to.put<std::uint64_t>(record.position);
  to.put<std::uint64_t>(record.length);
  to.put<std::uint64_t>(record.first_index.value());
  put_end(to, record.end);
  to.put<std::uint64_t>(record.chain_before);
  to.put<std::int64_t>(record.first_offset.value());
}

void put(FieldWriter& to, const CutRecord& record) {
  put_end(to, record.end);
  to.put<std::uint64_t>(record.segment.segment.value());
  to.put<std::uint64_t>(record.segment.position);
}

void put(FieldWriter& to, const GroupStateRecord& record) {
  to.put<std::int32_t>(record.term.value());
  to.put<std::uint32_t>(voted_for_on_disk(record.voted_for));
  to.put<std::uint64_t>(record.start.index.value());
  to.put<std::int64_t>(record.start.offset.value());
  to.put<std::uint64_t>(record.segment.segment.value());
  to.put<std::uint64_t>(record.segment.position);
  to.put<std::uint32_t>(record.segment.open ? 1 : 0);
  to.put<std::uint32_t>(0);
  put_end(to, record.end);
  to.put<std::uint32_t>(0);  // no configuration: a single node has none
  to.put<std::uint32_t>(0);
}

void put(FieldWriter& to, const CheckpointEndRecord& record) {
  to.put<std::uint64_t>(record.replay_from.value());
  to.put<std::uint64_t>(record.first.value());
  to.put<std::uint32_t>(record.group_count);
  to.put<std::uint32_t>(record.clean ? 1 : 0);
}

void put(FieldWriter& to, const EntryRecord& record) {
  to.put_bytes(record.entry);
}
void put(FieldWriter&, const GroupRemovedRecord&) {}

void put(FieldWriter& to, const ProducerRecord& record) {
  const KnownProducer& state = record.state;
  to.put<std::int64_t>(state.id);
  to.put<std::int16_t>(state.epoch);
  to.put<std::uint16_t>(state.count);
  to.put<std::int32_t>(state.next_sequence);
  for (const ProducerBatch& batch : state.known()) {
    to.put<std::int32_t>(batch.first_sequence);
    to.put<std::int32_t>(batch.last_sequence);
    to.put<std::int64_t>(batch.base_offset.value());
  }
}

VoteRecord get_vote(FieldReader& from) {
  VoteRecord record;
  record.term = Term{from.get<std::int32_t>()};
  record.voted_for = voted_for_from_disk(from.get<std::uint32_t>());
  return record;
}

ExtentRecord get_extent(FieldReader& from) {
  ExtentRecord record;
  record.segment = Index{from.get<std::uint64_t>()};
  record.position = from.get<std::uint64_t>();
  record.length = from.get<std::uint64_t>();
  record.first_index = Index{from.get<std::uint64_t>()};
  record.end = get_end(from);
  record.chain_before = from.get<std::uint64_t>();
  record.first_offset = Offset{from.get<std::int64_t>()};
  return record;
}

CutRecord get_cut(FieldReader& from) {
  CutRecord record;
  record.end = get_end(from);
  record.segment.segment = Index{from.get<std::uint64_t>()};
  record.segment.position = from.get<std::uint64_t>();
  return record;
}

GroupStateRecord get_group_state(FieldReader& from) {
  GroupStateRecord record;
  record.term = Term{from.get<std::int32_t>()};
  record.voted_for = voted_for_from_disk(from.get<std::uint32_t>());
  record.start.index = Index{from.get<std::uint64_t>()};
  record.start.offset = Offset{from.get<std::int64_t>()};
  record.segment.segment = Index{from.get<std::uint64_t>()};
  record.segment.position = from.get<std::uint64_t>();
  record.segment.open = from.get<std::uint32_t>() == 1;
  (void)from.get<std::uint32_t>();
  record.end = get_end(from);
  const auto configuration = from.get<std::uint32_t>();
  (void)from.get<std::uint32_t>();
  (void)from.get_bytes(configuration);
  return record;
}

CheckpointEndRecord get_checkpoint_end(FieldReader& from) {
  CheckpointEndRecord record;
  record.replay_from = Sequence{from.get<std::uint64_t>()};
  record.first = Sequence{from.get<std::uint64_t>()};
  record.group_count = from.get<std::uint32_t>();
  record.clean = from.get<std::uint32_t>() == 1;
  return record;
}

// More batches than there can be are left unread: their bytes are then too many.
ProducerRecord get_producer(FieldReader& from) {
  ProducerRecord record;
  KnownProducer& state = record.state;
  state.id = from.get<std::int64_t>();
  state.epoch = from.get<std::int16_t>();
  const auto count = from.get<std::uint16_t>();
  state.next_sequence = from.get<std::int32_t>();
  while (state.count < count && state.count < state.batches.size()) {
    ProducerBatch& batch = state.batches[state.count++];
    batch.first_sequence = from.get<std::int32_t>();
    batch.last_sequence = from.get<std::int32_t>();
    batch.base_offset = Offset{from.get<std::int64_t>()};
  }
  return record;
}

bool is_possible(const KnownProducer& state) {
  if (state.id < 0 || state.epoch < 0 || state.next_sequence < 0) return false;
  Offset before{-1};
  for (const ProducerBatch& batch : state.known()) {
    if (batch.first_sequence < 0 || batch.last_sequence < 0 || batch.base_offset <= before) return false;
    before = batch.base_offset;
  }
  return true;
}

// A closed segment may end with an entry in the middle of a block: the rest of the block was cut.
bool could_end(const SegmentEnd& end) {
  return end.position % (end.open ? k_block_size : k_entry_alignment) == 0;
}

// What can be said about one record alone; how records fit together is the fold's business.
const char* complaint(const JournalRecordBody& body) {
  if (const auto* extent = std::get_if<ExtentRecord>(&body)) {
    const bool aligned = extent->position % k_block_size == 0 && extent->length % k_block_size == 0;
    if (!aligned || extent->position < k_block_size || extent->length == 0) return "an extent off its blocks";
    if (extent->position + extent->length < extent->position) return "an extent beyond all positions";
    if (extent->segment == Index{0} || extent->segment > extent->first_index)
      return "an extent of no segment";
    if (extent->end.last_index < extent->first_index) return "an extent that ends before it begins";
  } else if (const auto* state = std::get_if<GroupStateRecord>(&body)) {
    if (!could_end(state->segment)) return "a segment end off its blocks";
    if (state->start.index == Index{0}) return "a log start of 0";
  } else if (const auto* cut = std::get_if<CutRecord>(&body)) {
    if (!could_end(cut->segment)) return "a segment end off its entries";
  } else if (const auto* producer = std::get_if<ProducerRecord>(&body)) {
    if (!is_possible(producer->state)) return "an impossible producer";
  }
  return nullptr;
}

}  // namespace

std::uint64_t CommitHeader::size() const {
  return round_up_to_block(std::uint64_t{k_commit_header_size} + body_length);
}

void encode_commit_header(const CommitHeader& header, std::span<std::byte> into) {
  const auto bytes = into.first(k_commit_header_size);
  FieldWriter to(bytes.subspan(8));
  to.put<std::uint64_t>(k_commit_magic);
  to.put<std::uint64_t>(header.start_id);
  to.put<std::uint64_t>(header.sequence.value());
  to.put<std::uint64_t>(header.position);
  to.put<std::uint64_t>(header.complete_through.value());
  to.put<std::uint64_t>(header.body_checksum);
  to.put<std::uint32_t>(header.body_length);
  to.put<std::uint32_t>(header.record_count);
  to.put<std::uint32_t>(header.journal);
  to.put<std::uint32_t>(k_journal_version);
  to.put<std::uint64_t>(header.generation);
  store_le<std::uint64_t>(bytes.data(), xxh3(bytes.subspan(8)));
}

std::optional<CommitHeader> decode_commit_header(std::span<const std::byte> bytes) {
  if (bytes.size() < k_commit_header_size) return std::nullopt;
  bytes = bytes.first(k_commit_header_size);
  FieldReader from(bytes);
  const auto checksum = from.get<std::uint64_t>();
  // The magic first: journals are searched block by block, and most blocks are not the start of a commit.
  if (from.get<std::uint64_t>() != k_commit_magic || checksum != xxh3(bytes.subspan(8))) return std::nullopt;
  CommitHeader header;
  header.start_id = from.get<std::uint64_t>();
  header.sequence = Sequence{from.get<std::uint64_t>()};
  header.position = from.get<std::uint64_t>();
  header.complete_through = Sequence{from.get<std::uint64_t>()};
  header.body_checksum = from.get<std::uint64_t>();
  header.body_length = from.get<std::uint32_t>();
  header.record_count = from.get<std::uint32_t>();
  header.journal = from.get<std::uint32_t>();
  if (from.get<std::uint32_t>() != k_journal_version) return std::nullopt;
  header.generation = from.get<std::uint64_t>();
  return header;
}

std::uint64_t journal_record_size(const JournalRecordBody& body) {
  return k_journal_record_header_size + round_up(body_size(body), k_entry_alignment);
}

namespace {
void put_header(FieldWriter& to, std::uint32_t length, JournalRecordType type, GroupId group) {
  to.put<std::uint32_t>(length);
  to.put<std::uint16_t>(static_cast<std::uint16_t>(type));
  to.put<std::uint16_t>(0);
  to.put<std::uint64_t>(group.value());
}
}  // namespace

std::uint64_t encode_journal_record(const JournalRecord& record, std::span<std::byte> into) {
  const std::uint64_t size = journal_record_size(record.body);
  FieldWriter to(into.first(size));
  put_header(to, body_size(record.body), type_of(record.body), record.group);
  std::visit([&to](const auto& body) { put(to, body); }, record.body);
  to.put_zeros(to.left());
  return size;
}

std::uint64_t encode_entry_record(GroupId group, std::span<const std::byte> header,
                                  std::span<const std::byte> payload, std::span<std::byte> into) {
  const auto length = static_cast<std::uint32_t>(header.size() + payload.size());
  const std::uint64_t size = k_journal_record_header_size + round_up(length, k_entry_alignment);
  FieldWriter to(into.first(size));
  put_header(to, length, JournalRecordType::entry, group);
  to.put_bytes(header);
  to.put_bytes(payload);
  to.put_zeros(to.left());
  return size;
}

Result<JournalRecord> JournalRecordReader::next() {
  FieldReader header(rest_);
  const auto length = header.get<std::uint32_t>();
  const auto type = header.get<std::uint16_t>();
  const auto zero = header.get<std::uint16_t>();
  JournalRecord record{.group = GroupId{header.get<std::uint64_t>()}, .body = {}};
  const std::uint64_t padded = round_up(length, k_entry_alignment);
  if (header.is_short() || zero != 0 || padded > header.left()) {
    return fail(ErrorCode::corruption, "a journal record of {} bytes in {} that are left", length,
                rest_.size());
  }
  const auto body = rest_.subspan(k_journal_record_header_size, length);
  rest_ = rest_.subspan(k_journal_record_header_size + padded);

  FieldReader from(body);
  switch (static_cast<JournalRecordType>(type)) {
    case JournalRecordType::entry:
      if (body.size() < k_entry_header_size) {
        return fail(ErrorCode::corruption, "an entry of {} bytes in the journal", body.size());
      }
      record.body = EntryRecord{from.get_bytes(body.size())};
      break;
    case JournalRecordType::vote:
      record.body = get_vote(from);
      break;
    case JournalRecordType::extent:
      record.body = get_extent(from);
      break;
    case JournalRecordType::cut:
      record.body = get_cut(from);
      break;
    case JournalRecordType::group_state:
      record.body = get_group_state(from);
      break;
    case JournalRecordType::checkpoint_end:
      record.body = get_checkpoint_end(from);
      break;
    case JournalRecordType::group_removed:
      record.body = GroupRemovedRecord{};
      break;
    case JournalRecordType::producer:
      record.body = get_producer(from);
      break;
    default:
      return fail(ErrorCode::corruption, "a journal record of unknown type {}", type);
  }
  if (from.is_short() || from.left() != 0) {
    return fail(ErrorCode::corruption, "a journal record of type {} with {} bytes", type, length);
  }
  if (const char* what = complaint(record.body)) {
    return fail(ErrorCode::corruption, "{} in a journal record of group {}", what, record.group.value());
  }
  return record;
}

}  // namespace millrace
