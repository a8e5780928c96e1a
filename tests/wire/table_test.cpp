#include "engine/wire/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/endian.h"
#include "engine/wire/metadata_generated.h"
#include "engine/wire/wire_id.h"

namespace millrace {
namespace {

using Bytes = std::vector<std::byte>;

TopicId some_id() {
  TopicId id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::byte>(i + 1);
  return id;
}

Bytes take(const flatbuffers::FlatBufferBuilder& builder) {
  const auto bytes = table_bytes(builder);
  return {bytes.begin(), bytes.end()};
}

// A table with strings, a struct, tables in tables, a vector of them, and numbers of several widths.
Bytes description(std::uint32_t partitions) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<wire::PartitionState>> states;
  for (std::uint32_t i = 0; i < partitions; ++i) {
    states.push_back(wire::CreatePartitionState(builder, i, 100 + i, 0, 7, 1, 2, 3, 4));
  }
  const auto name = builder.CreateString("orders");
  const auto settings = wire::CreateTopicSettings(builder, 1, 2, 3, 4);
  const auto id = to_wire(some_id());
  const auto topic = wire::CreateTopicDescription(builder, name, &id, partitions, settings);
  builder.Finish(wire::CreateDescribeTopicAnswer(builder, topic, builder.CreateVector(states)));
  return take(builder);
}

// Reads everything that a description may hold; what it is does not matter, only that no read leaves the
// bytes.
std::uint64_t walk(const wire::DescribeTopicAnswer& answer) {
  std::uint64_t sum = 0;
  if (const auto* topic = answer.topic()) {
    if (topic->name() != nullptr) sum += topic->name()->string_view().size();
    if (topic->topic_id() != nullptr) sum += topic->topic_id()->a();
    if (topic->settings() != nullptr) sum += topic->settings()->retention_ms();
  }
  if (answer.partitions() == nullptr) return sum;
  for (const auto* state : *answer.partitions()) sum += state->group() + state->segments();
  return sum;
}

TEST(Table, ThatIsWholeIsReadAtAnyAddress) {
  const Bytes bytes = description(3);
  for (std::size_t shift = 0; shift < 9; ++shift) {
    Bytes moved(shift + bytes.size());
    std::ranges::copy(bytes, moved.begin() + static_cast<std::ptrdiff_t>(shift));
    const auto table = verified<wire::DescribeTopicAnswer>(std::span(moved).subspan(shift));
    ASSERT_TRUE(table) << table.error().message;
    EXPECT_EQ((*table)->topic()->name()->string_view(), "orders");
    EXPECT_EQ(from_wire<TopicId>(*(*table)->topic()->topic_id()), some_id());
    ASSERT_EQ((*table)->partitions()->size(), 3u);
    EXPECT_EQ((*table)->partitions()->Get(2)->group(), 102u);
  }
}

TEST(Table, LargerThanTheInlineCopyIsReadToo) {
  const Bytes bytes = description(100);
  Bytes moved(1 + bytes.size());
  std::ranges::copy(bytes, moved.begin() + 1);
  auto table = verified<wire::DescribeTopicAnswer>(std::span(moved).subspan(1));
  ASSERT_TRUE(table) << table.error().message;
  const auto kept = *std::move(table);
  EXPECT_EQ(kept->partitions()->Get(99)->group(), 199u);
}

TEST(Table, CutAnywhereIsRefusedOrStaysInsideItsBytes) {
  const Bytes bytes = description(3);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    // A block of exactly this size, so that the address sanitizer sees a read past its end.
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    if (const auto table = verified<wire::DescribeTopicAnswer>(cut)) {
      walk(**table);
    } else {
      EXPECT_EQ(table.error().code, ErrorCode::protocol_error);
    }
  }
  EXPECT_FALSE(verified<wire::DescribeTopicAnswer>(std::span(bytes).first(bytes.size() / 2)));
}

TEST(Table, WithAnyWordReplacedIsRefusedOrStaysInsideItsBytes) {
  const Bytes bytes = description(3);
  for (std::size_t at = 0; at + 4 <= bytes.size(); at += 2) {
    for (const std::uint32_t lie : {0u, 1u, 3u, 0x7fu, 0xffffu, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
      Bytes bent = bytes;
      store_le<std::uint32_t>(bent.data() + at, lie);
      if (const auto table = verified<wire::DescribeTopicAnswer>(bent)) walk(**table);
    }
  }
}

TEST(Table, WithARootOutsideItsBytesIsRefused) {
  Bytes bytes = description(1);
  for (const auto root : {static_cast<std::uint32_t>(bytes.size()), 0x7fffffffu, 0xffffffffu}) {
    store_le<std::uint32_t>(bytes.data(), root);
    EXPECT_FALSE(verified<wire::DescribeTopicAnswer>(bytes)) << root;
  }
}

TEST(Table, WithAStringWithoutItsEndIsRefused) {
  Bytes bytes = description(1);
  const std::string_view name = "orders";
  const auto at = std::ranges::search(bytes, std::as_bytes(std::span(name))).end();
  ASSERT_NE(at, bytes.end());
  ASSERT_EQ(*at, std::byte{0});
  *at = std::byte{'x'};
  EXPECT_FALSE(verified<wire::DescribeTopicAnswer>(bytes));
}

TEST(Table, OfTooManyTablesIsRefused) {
  // One table named by thousands of places: small on the wire, long to walk.
  flatbuffers::FlatBufferBuilder builder;
  const auto shared = wire::CreatePartitionState(builder, 1);
  const std::vector<flatbuffers::Offset<wire::PartitionState>> states(4096, shared);
  builder.Finish(wire::CreateDescribeTopicAnswer(builder, 0, builder.CreateVector(states)));
  EXPECT_FALSE(verified<wire::DescribeTopicAnswer>(take(builder)));
}

TEST(Table, OfAnImpossibleSizeIsRefusedBeforeItIsLookedAt) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{k_table_size_max + 1}}) {
    const Bytes bytes(size);
    const auto table = verified<wire::ListTopics>(bytes);
    ASSERT_FALSE(table) << size;
    EXPECT_EQ(table.error().code, ErrorCode::protocol_error);
  }
}

TEST(Table, IsFramedAsItWasBuilt) {
  const Bytes bytes = description(2);
  Bytes framed(k_preamble_size + bytes.size());
  ASSERT_EQ(encode_frame(answer_to(FrameType::describe_topic), 7, bytes, 0, framed), framed.size());
  const auto preamble = decode_preamble(framed, k_frame_size_max);
  ASSERT_TRUE(preamble);
  EXPECT_EQ(preamble->type, answer_to(FrameType::describe_topic));
  EXPECT_EQ(preamble->table_length, bytes.size());
  const auto table = std::span(framed).subspan(k_preamble_size);
  EXPECT_TRUE(check_frame(framed, table));
  EXPECT_TRUE(verified<wire::DescribeTopicAnswer>(table));
}

TEST(Table, OfATopicInTheMetadataComesBack) {
  flatbuffers::FlatBufferBuilder builder;
  const auto id = to_wire(some_id());
  const auto name = builder.CreateString("orders");
  builder.Finish(
      wire::CreateTopicRecord(builder, name, &id, 12, wire::CreateTopicSettings(builder, 0, 0, 9), 34));
  const Bytes bytes = take(builder);
  const auto record = verified<wire::TopicRecord>(bytes);
  ASSERT_TRUE(record);
  EXPECT_EQ((*record)->name()->string_view(), "orders");
  EXPECT_EQ((*record)->partitions(), 12u);
  EXPECT_EQ((*record)->first_group(), 34u);
  EXPECT_EQ((*record)->settings()->retention_bytes(), 9u);
}

TEST(Table, CarriesIdsAsTwoLittleEndianHalves) {
  const wire::Id id = to_wire(some_id());
  EXPECT_EQ(id.a(), 0x0807060504030201u);
  EXPECT_EQ(id.b(), 0x100f0e0d0c0b0a09u);
  EXPECT_EQ(from_wire<TopicId>(id), some_id());
}

}  // namespace
}  // namespace millrace
