// fuzz_seeds FOLDER: first inputs for the fuzz targets, made by the product's own writers.
#include "fuzz/seeds.h"

#include <set>
#include <string>
#include <string_view>

#include "engine/base/batch_builder.h"
#include "engine/base/checksum.h"
#include "engine/base/entry_header.h"
#include "engine/base/trim_payload.h"
#include "engine/log/format_bytes.h"
#include "engine/log/identity.h"
#include "engine/log/journal_format.h"
#include "engine/log/segment_format.h"
#include "engine/wire/protocol_generated.h"
#include "engine/wire/table.h"
#include "fuzz/input.h"
#include "net/topic_record.h"
#include "net/wire_tables.h"

namespace millrace::fuzz {
namespace {

constexpr GroupId k_group{7};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

BufferPool& pool() {
  static BufferPool buffers({.bytes_max = 64_MiB, .idle_bytes_max = 1_MiB});
  return buffers;
}

// ---- what is stored -----------------------------------------------------------

Bytes batch_of(std::uint32_t records, Codec codec) {
  RecordBatchBuilder builder(pool(), {.size_expected = k_block_size});
  const RecordHeader header{.key = "source", .value = bytes_of("fuzz")};
  for (std::uint32_t i = 0; i < records; ++i) {
    RecordView record;
    record.timestamp = 1'767'225'600'000 + i;
    if (i % 2 == 0) record.key = bytes_of("key");
    if (i % 3 != 2)
      record.value = bytes_of("a value that goes on and on, so that it compresses, so that it compresses");
    if (i == 1) record.headers = std::span(&header, 1);
    CHECK(builder.append(record) == BatchAppend::appended);
  }
  const auto batch = builder.finish(codec);
  CHECK(batch, "{}", batch.error().message);
  const auto bytes = batch->bytes();
  return {bytes.begin(), bytes.end()};
}

// Entries that follow each other.
class LogWriter {
 public:
  // `batch`: a record batch, whose first bytes are the header's last.
  Bytes batch(std::span<const std::byte> batch, std::uint32_t records) {
    return write(EntryType::batch, records, batch.subspan(k_entry_header_size - k_batch_offset_in_entry));
  }
  Bytes internal(EntryType type, std::span<const std::byte> payload) { return write(type, 0, payload); }
  [[nodiscard]] const LogEnd& end() const { return end_; }

 private:
  Bytes write(EntryType type, std::uint32_t offset_count, std::span<const std::byte> payload) {
    EntryHeader header;
    header.payload_checksum = xxh3(payload);
    header.prev_checksum = end_.chain;
    header.index = next(end_.last_index);
    header.group = k_group;
    header.offset_count = offset_count;
    header.type = type;
    header.base_offset = end_.next_offset;
    header.batch_length = k_entry_batch_length_min + static_cast<std::int32_t>(payload.size());
    header.term = Term{1};
    Bytes bytes(padded_entry_size(header.batch_length));
    header.header_checksum = encode(header, std::span(bytes).first<k_entry_header_size>());
    std::ranges::copy(payload, bytes.begin() + k_entry_header_size);
    end_ = {header.index, header.next_offset(), header.header_checksum};
    return bytes;
  }
  LogEnd end_;
};

SegmentHeader segment_header() {
  SegmentHeader header;
  header.cluster.bytes.fill(std::byte{0xc1});
  header.group = k_group;
  header.first_index = Index{1};
  header.created_at = WallTime{1'767'225'600'000};
  return header;
}

void seed_entries(const Seeds& seeds) {
  LogWriter log;
  seeds.write("entry", "batch",
              InputWriter().put<std::uint8_t>(1).put_bytes(log.batch(batch_of(2, Codec::none), 2)));
  seeds.write("entry", "no_op",
              InputWriter().put<std::uint8_t>(0).put_bytes(log.internal(EntryType::no_op, {})));
  const auto trim = encode(TrimPayload{Index{2}, Offset{2}});
  seeds.write("entry", "trim",
              InputWriter().put<std::uint8_t>(1).put_bytes(log.internal(EntryType::trim, trim)));
}

void seed_batches(const Seeds& seeds) {
  for (const Codec codec : {Codec::none, Codec::lz4, Codec::zstd}) {
    const std::string name(millrace::name(codec));
    seeds.write("record_batch", name, InputWriter().put<std::uint8_t>(1).put_bytes(batch_of(6, codec)));
  }
}

SegmentFooter footer_of(const LogEnd& end, std::uint64_t end_position) {
  SegmentFooter footer;
  footer.index = {{Index{1}, Offset{0}, k_block_size, 5}, {Index{2}, Offset{3}, k_block_size + 200, 7}};
  footer.end = end;
  footer.end_position = end_position;
  footer.max_timestamp = 7;
  footer.sealed_at = WallTime{1'767'225'600'001};
  return footer;
}

// Blocks and trailer, without the zeros between.
Bytes compact(const SegmentFooter& footer, std::uint16_t& blocks) {
  Bytes bytes(footer_size(footer));
  encode_footer(footer, bytes);
  blocks = static_cast<std::uint16_t>(load_le<std::uint64_t>(bytes.data() + bytes.size() - 16));
  bytes.erase(bytes.begin() + blocks, bytes.end() - k_footer_trailer_size);
  return bytes;
}

void seed_segments(const Seeds& seeds) {
  LogWriter log;
  Bytes header(k_block_size);
  encode_segment_header(segment_header(), header);
  header.resize(80);
  const Bytes first = log.batch(batch_of(3, Codec::none), 3);
  const Bytes second = log.internal(EntryType::no_op, {});
  const Bytes third = log.batch(batch_of(1, Codec::none), 1);
  Bytes extent = first;
  extent.insert(extent.end(), second.begin(), second.end());
  std::uint16_t blocks = 0;
  const Bytes footer = compact(footer_of(log.end(), std::uint64_t{3} * k_block_size), blocks);
  seeds.write("segment", "two_extents",
              InputWriter().put<std::uint8_t>(3).put_chunk(header).put_chunk(extent).put_chunk(third));
  seeds.write(
      "segment", "sealed",
      InputWriter().put<std::uint8_t>(15).put_chunk(header).put_chunk(extent).put_chunk(third).put_chunk(
          footer));
  seeds.write("footer", "two_items",
              InputWriter()
                  .put<std::uint8_t>(1)
                  .put<std::uint8_t>(3)
                  .put<std::uint64_t>(0)
                  .put<std::uint16_t>(blocks)
                  .put_bytes(footer));
}

// ---- the journal --------------------------------------------------------------

Bytes commit_of(const std::vector<JournalRecord>& records, Sequence complete_through) {
  Bytes commit(k_commit_header_size);
  for (const JournalRecord& record : records) {
    Bytes bytes(journal_record_size(record.body));
    encode_journal_record(record, bytes);
    commit.insert(commit.end(), bytes.begin(), bytes.end());
  }
  CommitHeader header;
  header.complete_through = complete_through;
  header.body_length = static_cast<std::uint32_t>(commit.size() - k_commit_header_size);
  header.record_count = static_cast<std::uint32_t>(records.size());
  encode_commit_header(header, commit);
  return commit;
}

void seed_journal(const Seeds& seeds) {
  LogWriter log;
  GroupStateRecord state;
  state.term = Term{1};
  state.segment = {Index{1}, k_block_size, true};
  const Bytes first = log.batch(batch_of(1, Codec::none), 1);
  const LogEnd after_first = log.end();
  const Bytes second = log.internal(EntryType::no_op, {});
  const auto trim = encode(TrimPayload{Index{2}, Offset{1}});
  const Bytes third = log.internal(EntryType::trim, trim);
  ExtentRecord extent;
  extent.segment = Index{1};
  extent.position = k_block_size;
  extent.length = k_block_size;
  extent.first_index = Index{1};
  extent.end = after_first;
  const auto write = [&](const std::string& name, const std::vector<std::vector<JournalRecord>>& commits) {
    InputWriter input;
    input.put<std::uint8_t>(7).put<std::uint8_t>(9);
    Sequence before{0};
    for (const auto& records : commits) {
      input.put<std::uint8_t>(0).put_chunk(commit_of(records, before));
      before = next(before);
    }
    seeds.write("journal", name, input);
  };
  const JournalRecord checkpoint{k_metadata_group, CheckpointEndRecord{Sequence{1}, Sequence{1}, 1, false}};
  write("entries", {{{k_group, state}, checkpoint},
                    {},
                    {{k_group, EntryRecord{first}}},
                    {{k_group, EntryRecord{second}}, {k_group, EntryRecord{third}}}});
  write("extent",
        {{{k_group, state}, checkpoint}, {{k_group, extent}}, {{k_group, VoteRecord{Term{2}, NodeId{1}}}}});
  ProducerRecord producer;
  producer.state = {.id = 77, .epoch = 1, .count = 1, .next_sequence = 1, .batches = {}};
  write("producer", {{{k_group, state}, checkpoint}, {{k_group, extent}, {k_group, producer}}, {}});
  CutRecord cut{after_first, {Index{1}, k_block_size + 8, false}};
  write("cut", {{{k_group, state}, checkpoint},
                {{k_group, extent}, {k_group, cut}},
                {{k_group, GroupRemovedRecord{}}}});
}

void seed_identity(const Seeds& seeds) {
  Identity identity;
  identity.cluster.bytes.fill(std::byte{0xc1});
  identity.generation = 5;
  identity.start_id = 0x0123456789abcdef;
  identity.journal_file_size = 1_MiB;
  identity.journals = {{1, 2, 3, 4}, {5, 6, 7, 8}};
  const auto slot_of = [&] {
    Bytes slot(k_block_size);
    encode_identity(identity, slot);
    slot.resize(128);
    return slot;
  };
  const Bytes old = slot_of();
  ++identity.generation;
  const auto write = [&](const std::string& name, std::string_view text) {
    seeds.write(
        "identity", name,
        InputWriter().put<std::uint8_t>(3).put_chunk(old).put_chunk(slot_of()).put_bytes(bytes_of(text)));
  };
  write("journal_name", "00000007.journal");
  write("group_name", "00000000000000af");
  write("segment_name", "00000000000000004711.segment");
}

// ---- the wire -----------------------------------------------------------------

class Frames {
 public:
  explicit Frames(const Seeds& seeds) : seeds_(seeds) {}
  template <class Build>
  void request(FrameType type, const std::string& name, Build build) {
    const Bytes table = write(number(type), name, build);
    const Bytes batch = type == FrameType::produce ? batch_of(2, Codec::none) : Bytes{};
    InputWriter piece;
    piece.put<std::uint8_t>(0).put<std::uint8_t>(0).put<std::uint8_t>(number(type)).put<std::uint8_t>(1);
    seeds_.write("server", name, piece.put_chunk(table).put_chunk(batch));
  }
  template <class Build>
  void answer(FrameType type, const std::string& name, Build build) {
    write(answer_to(type), name, build);
  }
  void expect_all() const {
    for (std::uint8_t type = 0; type < k_answer_bit; ++type) {
      if (const auto request = request_type(type))
        CHECK(written_.contains(type) && written_.contains(answer_to(*request)), "type {} has no seed", type);
    }
    CHECK(written_.contains(number(FrameType::error)));
  }

 private:
  template <class Build>
  Bytes write(std::uint8_t type, const std::string& name, Build build) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(build(builder));
    const auto table = table_bytes(builder);
    seeds_.write("request", name,
                 InputWriter().put<std::uint8_t>(type).put<std::uint8_t>(0).put_bytes(table));
    Bytes frame(k_preamble_size + table.size());
    encode_frame(type, 42, table, 0, frame);
    seeds_.write("frame", name, InputWriter().put<std::uint8_t>(1).put_bytes(frame));
    written_.insert(type);
    return {table.begin(), table.end()};
  }
  const Seeds& seeds_;
  std::set<std::uint8_t> written_;
};

void seed_requests(Frames& frames) {
  const wire::Id id(1, 2);
  const auto partition = [](auto& b) { return wire::CreatePartitionDirect(b, "orders", nullptr, 1); };
  frames.request(FrameType::hello, "hello",
                 [&](auto& b) { return wire::CreateHelloDirect(b, 1, 1, 0, "seed", &id); });
  frames.request(FrameType::create_topic, "create_topic", [&](auto& b) {
    return wire::CreateCreateTopicDirect(b, "orders", 3,
                                         wire::CreateTopicSettings(b, 1u << 20, 60'000, 1u << 30, 0), 100);
  });
  frames.request(FrameType::list_topics, "list_topics",
                 [&](auto& b) { return wire::CreateListTopicsDirect(b, "a"); });
  frames.request(FrameType::describe_topic, "describe_topic",
                 [&](auto& b) { return wire::CreateDescribeTopicDirect(b, nullptr, &id); });
  frames.request(FrameType::delete_topic, "delete_topic",
                 [&](auto& b) { return wire::CreateDeleteTopicDirect(b, "orders"); });
  frames.request(FrameType::alter_topic, "alter_topic", [&](auto& b) {
    return wire::CreateAlterTopicDirect(
        b, "orders", nullptr, wire::CreateTopicSettingsChange(b, 1u << 20, flatbuffers::nullopt, 1u << 30, 0),
        100);
  });
  frames.request(FrameType::produce, "produce",
                 [&](auto& b) { return wire::CreateProduce(b, partition(b), wire::Ack::leader, 500); });
  frames.request(FrameType::init_producer, "init_producer",
                 [&](auto& b) { return wire::CreateInitProducer(b); });
  frames.request(FrameType::fetch, "fetch",
                 [&](auto& b) { return wire::CreateFetch(b, partition(b), 7, 1, 4096, 100); });
  frames.request(FrameType::list_offsets, "list_offsets", [&](auto& b) {
    return wire::CreateListOffsets(b, partition(b), wire::OffsetSpec::timestamp, 5);
  });
  frames.request(FrameType::trim, "trim", [&](auto& b) { return wire::CreateTrim(b, partition(b), 7); });
  frames.request(FrameType::status, "status", [&](auto& b) { return wire::CreateStatus(b); });
}

void seed_answers(Frames& frames) {
  const wire::Id id(1, 2);
  const auto topic = [&](auto& b) {
    return wire::CreateTopicDescriptionDirect(b, "orders", &id, 3,
                                              wire::CreateTopicSettings(b, 1u << 20, 60'000, 1u << 30, 0));
  };
  frames.answer(FrameType::hello, "hello_answer", [&](auto& b) {
    return wire::CreateHelloAnswerDirect(b, 1, 0, &id, 1, 1u << 20, 100, "millrace");
  });
  frames.answer(FrameType::error, "error", [&](auto& b) {
    return wire::CreateErrorDirect(b, 7, "what happened, and what to do", true, "host:7420", 5, 6, 7);
  });
  frames.answer(FrameType::create_topic, "create_topic_answer",
                [&](auto& b) { return wire::CreateCreateTopicAnswer(b, &id); });
  frames.answer(FrameType::list_topics, "list_topics_answer", [&](auto& b) {
    const std::vector topics{topic(b)};
    return wire::CreateListTopicsAnswerDirect(b, &topics, true);
  });
  frames.answer(FrameType::describe_topic, "describe_topic_answer", [&](auto& b) {
    const std::vector states{wire::CreatePartitionState(b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)};
    return wire::CreateDescribeTopicAnswerDirect(b, topic(b), &states);
  });
  frames.answer(FrameType::delete_topic, "delete_topic_answer",
                [&](auto& b) { return wire::CreateDeleteTopicAnswer(b); });
  frames.answer(FrameType::alter_topic, "alter_topic_answer",
                [&](auto& b) { return wire::CreateAlterTopicAnswer(b, topic(b)); });
  frames.answer(FrameType::produce, "produce_answer",
                [&](auto& b) { return wire::CreateProduceAnswer(b, 7, 2, wire::Ack::durable, 3); });
  frames.answer(FrameType::init_producer, "init_producer_answer",
                [&](auto& b) { return wire::CreateInitProducerAnswer(b, 77); });
  frames.answer(FrameType::fetch, "fetch_answer",
                [&](auto& b) { return wire::CreateFetchAnswer(b, 9, 3, 9, 9, 2); });
  frames.answer(FrameType::list_offsets, "list_offsets_answer",
                [&](auto& b) { return wire::CreateListOffsetsAnswer(b, 7, 5); });
  frames.answer(FrameType::trim, "trim_answer", [&](auto& b) { return wire::CreateTrimAnswer(b, 7); });
  frames.answer(FrameType::status, "status_answer", [&](auto& b) {
    const std::vector counters{wire::CreateCounterDirect(b, "appends", 7)};
    const std::vector latencies{wire::CreateLatencySummaryDirect(b, "append", 1, 2, 3, 4, 5, 6)};
    return wire::CreateStatusAnswerDirect(b, "millrace", &id, 1, 2, 3, "data", &counters, &latencies);
  });
}

void seed_wire(const Seeds& seeds) {
  Frames frames(seeds);
  seed_requests(frames);
  seed_answers(frames);
  frames.expect_all();
}

void seed_metadata(const Seeds& seeds) {
  Topic topic{.name = "orders", .id = {}, .partitions = 3, .settings = {}, .first_group = GroupId{4}};
  topic.id.bytes.fill(std::byte{0x1d});
  const auto write = [&](const std::string& name, const TopicChange& change) {
    const auto batch = encode_topic_change(pool(), change, WallTime{1'767'225'600'000});
    CHECK(batch, "{}", batch.error().message);
    seeds.write("metadata", name, InputWriter().put<std::uint8_t>(1).put_bytes(batch->bytes()));
  };
  write("created", {topic.name, topic});
  write("deleted", {topic.name, std::nullopt});
}

}  // namespace
}  // namespace millrace::fuzz

int main(int argc, char** argv) {
  using namespace millrace::fuzz;
  CHECK(argc == 2, "fuzz_seeds FOLDER");
  const Seeds seeds(argv[1]);
  seed_entries(seeds);
  seed_batches(seeds);
  seed_segments(seeds);
  seed_journal(seeds);
  seed_identity(seeds);
  seed_wire(seeds);
  seed_metadata(seeds);
  seed_folder(seeds);
  return 0;
}
