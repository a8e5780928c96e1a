// The journal's bytes. The golden ones are what version 1 has written: they stay readable.
#include "engine/log/journal_format.h"

#include <gtest/gtest.h>

#include "engine/base/checksum.h"
#include "engine/base/entry_header.h"
#include "tests/log/golden_bytes.h"

namespace millrace::test {
namespace {

struct Golden {
  const char* name;
  JournalRecord record;
  const char* hex;
};

std::vector<Golden> golden_records() {
  const LogEnd end{Index{4}, Offset{30}, 0x2222};
  return {
      {"vote", {GroupId{3}, VoteRecord{Term{5}, NodeId{2}}}, "080000000200000003000000000000000500000003"},
      {"vote for nobody",
       {GroupId{3}, VoteRecord{Term{5}, std::nullopt}},
       "0800000002000000030000000000000005"},
      {"extent",
       {GroupId{3}, ExtentRecord{Index{1}, 4096, 8192, Index{2}, Offset{10}, 0x1111, end}},
       "4800000003000000030000000000000001000000000000000010000000000000"
       "0020000000000000020000000000000004000000000000001e00000000000000"
       "222200000000000011110000000000000a"},
      {"cut",
       {GroupId{3}, CutRecord{end, {Index{1}, 4232, false}}},
       "2800000004000000030000000000000004000000000000001e00000000000000"
       "222200000000000001000000000000008810"},
      {"group state",
       {GroupId{3},
        GroupStateRecord{Term{5}, std::nullopt, {Index{2}, Offset{10}}, {Index{1}, 12288, true}, end}},
       "5000000005000000030000000000000005000000000000000200000000000000"
       "0a00000000000000010000000000000000300000000000000100000000000000"
       "04000000000000001e000000000000002222"},
      {"checkpoint end",
       {GroupId{0}, CheckpointEndRecord{Sequence{7}, Sequence{9}, 1, true}},
       "1800000006000000000000000000000007000000000000000900000000000000"
       "0100000001"},
      {"group removed", {GroupId{3}, GroupRemovedRecord{}}, "000000000700000003"},
      {"producer",
       {GroupId{3}, ProducerRecord{{.id = 0x1234,
                                    .epoch = 2,
                                    .count = 2,
                                    .next_sequence = 15,
                                    .batches = {{{0x7ffffffe, 4, Offset{10}}, {5, 14, Offset{17}}}}}}},
       "300000000800000003000000000000003412000000000000020002000f000000"
       "feffff7f040000000a00000000000000050000000e00000011"},
  };
}

Bytes encoded(const JournalRecord& record) {
  Bytes bytes(journal_record_size(record.body), std::byte{0xff});
  EXPECT_EQ(encode_journal_record(record, bytes), bytes.size());
  return bytes;
}

template <class Record>
bool holds(const JournalRecordBody& got, const Record& wanted) {
  const auto* record = std::get_if<Record>(&got);
  return record != nullptr && *record == wanted;
}
bool holds(const JournalRecordBody& got, const EntryRecord& wanted) {
  const auto* record = std::get_if<EntryRecord>(&got);
  return record != nullptr && std::ranges::equal(record->entry, wanted.entry);
}

TEST(JournalFormat, RecordsAreWrittenAsTheGoldenBytes) {
  for (const Golden& golden : golden_records())
    EXPECT_EQ(to_golden(encoded(golden.record)), golden.hex) << golden.name;
}

TEST(JournalFormat, GoldenBytesAreRead) {
  for (const Golden& golden : golden_records()) {
    const Bytes bytes = from_golden(golden.hex, journal_record_size(golden.record.body));
    JournalRecordReader reader(bytes);
    const auto record = reader.next();
    ASSERT_TRUE(record) << golden.name << ": " << record.error().message;
    EXPECT_EQ(record->group, golden.record.group);
    EXPECT_TRUE(
        std::visit([&](const auto& wanted) { return holds(record->body, wanted); }, golden.record.body))
        << golden.name;
    EXPECT_TRUE(reader.done());
  }
}

TEST(JournalFormat, ATruncatedRecordIsCorruption) {
  for (const Golden& golden : golden_records()) {
    const Bytes bytes = encoded(golden.record);
    for (std::size_t length = 1; length < bytes.size(); ++length) {
      JournalRecordReader reader(std::span(bytes).first(length));
      const auto record = reader.next();
      ASSERT_FALSE(record) << golden.name << " of " << length << " bytes";
      EXPECT_EQ(record.error().code, ErrorCode::corruption);
    }
  }
}

TEST(JournalFormat, ARecordThatLiesAboutItsLengthIsCorruption) {
  for (const Golden& golden : golden_records()) {
    for (const unsigned length : {1U, 7U, 9U, 200U, 0xffU}) {
      Bytes bytes = encoded(golden.record);
      if (std::to_integer<unsigned>(bytes[0]) == length) continue;
      bytes[0] = static_cast<std::byte>(length);
      bytes.resize(400);
      JournalRecordReader reader(bytes);
      EXPECT_FALSE(reader.next()) << golden.name << " that says " << length;
    }
  }
}

TEST(JournalFormat, AnUnknownTypeIsCorruption) {
  Bytes bytes = encoded({GroupId{3}, GroupRemovedRecord{}});
  bytes[4] = std::byte{99};
  JournalRecordReader reader(bytes);
  EXPECT_EQ(reader.next().error().code, ErrorCode::corruption);
}

TEST(JournalFormat, AnImpossibleProducerIsCorruption) {
  const KnownProducer whole{.id = 7, .count = 2, .batches = {{{0, 4, Offset{10}}, {5, 14, Offset{15}}}}};
  const auto accepts = [](const KnownProducer& state) {
    const Bytes bytes = encoded({GroupId{3}, ProducerRecord{state}});
    return JournalRecordReader(bytes).next().has_value();
  };
  EXPECT_TRUE(accepts(whole));
  const auto with = [&](auto change) {
    KnownProducer state = whole;
    change(state);
    return state;
  };
  EXPECT_FALSE(accepts(with([](KnownProducer& state) { state.id = -1; })));
  EXPECT_FALSE(accepts(with([](KnownProducer& state) { state.epoch = -1; })));
  EXPECT_FALSE(accepts(with([](KnownProducer& state) { state.next_sequence = -1; })));
  EXPECT_FALSE(accepts(with([](KnownProducer& state) { state.batches[0].first_sequence = -1; })));
  EXPECT_FALSE(accepts(with([](KnownProducer& state) { state.batches[1].last_sequence = -2; })));
  EXPECT_FALSE(accepts(with([](KnownProducer& state) { state.batches[1].base_offset = Offset{10}; })));
  Bytes many = encoded({GroupId{3}, ProducerRecord{whole}});
  many[k_journal_record_header_size + 10] = std::byte{6};
  EXPECT_FALSE(JournalRecordReader(many).next());
}

TEST(JournalFormat, AnImpossibleExtentIsCorruption) {
  const ExtentRecord whole{Index{1}, 4096, 8192, Index{2}, Offset{10}, 0, {Index{4}, Offset{30}, 0}};
  const auto accepts = [](const ExtentRecord& extent) {
    const Bytes bytes = encoded({GroupId{3}, extent});
    return JournalRecordReader(bytes).next().has_value();
  };
  EXPECT_TRUE(accepts(whole));
  ExtentRecord extent = whole;
  extent.position = 0;  // the header block
  EXPECT_FALSE(accepts(extent));
  extent = whole;
  extent.length = 100;
  EXPECT_FALSE(accepts(extent));
  extent = whole;
  extent.position = ~std::uint64_t{0} - 4095;
  EXPECT_FALSE(accepts(extent));
  extent = whole;
  extent.segment = Index{3};  // begins behind the extent's first entry
  EXPECT_FALSE(accepts(extent));
  extent = whole;
  extent.end.last_index = Index{1};
  EXPECT_FALSE(accepts(extent));
}

TEST(JournalFormat, AnEntryIsReadWhereItStands) {
  Bytes entry(k_entry_header_size + 5, std::byte{0x77});
  const Bytes bytes = encoded({GroupId{3}, EntryRecord{entry}});
  EXPECT_EQ(bytes.size(), k_journal_record_header_size + 72U);
  JournalRecordReader reader(bytes);
  const auto record = reader.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(std::get<EntryRecord>(record->body).entry.data(), bytes.data() + k_journal_record_header_size);
  EXPECT_TRUE(reader.done());
}

// ---- commits
// ------------------------------------------------------------------------------------------------------------

// docs/format.md explains these bytes one by one: the third commit of a journal, a vote and the no-op that
// opens term 5.
constexpr const char* k_commit_hex =
    "21f9cc0512dd0adf4d52434f4d4d4954efcdab89674523010300000000000000"
    "0020000000000000020000000000000093ef85c0318801d96800000002000000"
    "0000000001000000070000000000000008000000020000000300000000000000"
    "05000000020000004000000001000000030000000000000072e05f9624ae5eee"
    "c294d3380580062d000000000000000001000000000000000300000000000000"
    "000000000201000000000000000000000000000400000005";

Bytes encoded_commit() {
  Bytes bytes(k_block_size);
  EntryHeader no_op;
  no_op.index = Index{1};
  no_op.group = GroupId{3};
  no_op.type = EntryType::no_op;
  no_op.term = Term{5};
  no_op.payload_checksum = xxh3({});
  std::array<std::byte, k_entry_header_size> entry{};
  encode(no_op, entry);
  std::uint64_t at = k_commit_header_size;
  at += encode_journal_record({GroupId{3}, VoteRecord{Term{5}, NodeId{1}}}, std::span(bytes).subspan(at));
  at += encode_journal_record({GroupId{3}, EntryRecord{entry}}, std::span(bytes).subspan(at));
  CommitHeader header;
  header.start_id = 0x0123456789abcdef;
  header.sequence = Sequence{3};
  header.position = 8192;
  header.complete_through = Sequence{2};
  header.body_length = static_cast<std::uint32_t>(at - k_commit_header_size);
  header.body_checksum = xxh3(std::span(bytes).subspan(k_commit_header_size, header.body_length));
  header.record_count = 2;
  header.generation = 7;
  encode_commit_header(header, bytes);
  return bytes;
}

TEST(JournalFormat, ACommitIsWrittenAsTheGoldenBytes) {
  EXPECT_EQ(to_golden(encoded_commit()), k_commit_hex);
}

TEST(JournalFormat, AGoldenCommitIsRead) {
  const Bytes bytes = from_golden(k_commit_hex, k_block_size);
  const auto header = decode_commit_header(bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->start_id, 0x0123456789abcdefU);
  EXPECT_EQ(header->sequence, Sequence{3});
  EXPECT_EQ(header->position, 8192U);
  EXPECT_EQ(header->complete_through, Sequence{2});
  EXPECT_EQ(header->record_count, 2U);
  EXPECT_EQ(header->journal, 0U);
  EXPECT_EQ(header->generation, 7U);
  EXPECT_EQ(header->size(), k_block_size);
  const auto body = std::span(bytes).subspan(k_commit_header_size, header->body_length);
  EXPECT_EQ(xxh3(body), header->body_checksum);
  JournalRecordReader reader(body);
  EXPECT_TRUE(holds(reader.next()->body, VoteRecord{Term{5}, NodeId{1}}));
  const auto entry = decode_entry_header(std::get<EntryRecord>(reader.next()->body).entry);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->type, EntryType::no_op);
  EXPECT_TRUE(reader.done());
}

TEST(JournalFormat, ACommitHeaderWithAnyByteFlippedIsNone) {
  for (std::size_t at = 0; at < k_commit_header_size; ++at) {
    Bytes bytes = encoded_commit();
    bytes[at] ^= std::byte{0x10};
    EXPECT_FALSE(decode_commit_header(bytes)) << "byte " << at;
  }
}

TEST(JournalFormat, ATruncatedCommitHeaderIsNone) {
  const Bytes bytes = encoded_commit();
  EXPECT_FALSE(decode_commit_header(std::span(bytes).first(k_commit_header_size - 1)));
}

}  // namespace
}  // namespace millrace::test
