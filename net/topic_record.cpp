#include "net/topic_record.h"

#include <utility>

#include "engine/base/batch_builder.h"
#include "engine/base/record_reader.h"
#include "engine/wire/metadata_generated.h"
#include "engine/wire/table.h"
#include "net/wire_tables.h"

namespace millrace {
namespace {

constexpr std::string_view k_key_prefix = "topic/";

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}
std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<Topic> decode_topic(std::span<const std::byte> value, std::string_view name) {
  const auto table = verified<wire::TopicRecord>(value);
  if (!table) return fail(ErrorCode::corruption, "metadata of topic '{}': {}", name, table.error().message);
  const wire::TopicRecord& record = **table;
  if (record.name() == nullptr || record.name()->string_view() != name || record.topic_id() == nullptr) {
    return fail(ErrorCode::corruption, "metadata of topic '{}' without its name or id", name);
  }
  auto topic = topic_from_wire(name, record.partitions(), record.settings());
  if (topic) {
    topic->id = from_wire<TopicId>(*record.topic_id());
    topic->first_group = GroupId{record.first_group()};
    if (auto checked = check_topic(*topic); !checked) topic = fail(std::move(checked).error());
  }
  if (!topic) return fail(ErrorCode::corruption, "metadata of topic '{}': {}", name, topic.error().message);
  return topic;
}

Result<TopicChange> decode_change(const RecordView& record) {
  const std::string_view key = record.key ? as_text(*record.key) : std::string_view();
  if (!key.starts_with(k_key_prefix)) {
    return fail(
        ErrorCode::unsupported_version,
        "the metadata holds a record of a kind that this program does not know; use the newer one that "
        "wrote it");
  }
  TopicChange change{.name = std::string(key.substr(k_key_prefix.size())), .topic = {}};
  if (auto checked = check_topic_name(change.name); !checked) {
    return fail(ErrorCode::corruption, "metadata: {}", checked.error().message);
  }
  if (record.value) {
    TRY(change.topic, decode_topic(*record.value, change.name));
  }
  return change;
}

}  // namespace

Result<Slice> encode_topic_change(BufferPool& pool, const TopicChange& change, WallTime now) {
  const std::string key = std::string(k_key_prefix) + change.name;
  flatbuffers::FlatBufferBuilder builder;
  RecordView record;
  record.timestamp = now.milliseconds;
  record.key = as_bytes(key);
  if (change.topic) {
    const wire::Id id = to_wire(change.topic->id);
    const auto name = builder.CreateString(change.topic->name);
    const auto settings = settings_to_wire(builder, change.topic->settings);
    builder.Finish(wire::CreateTopicRecord(builder, name, &id, change.topic->partitions, settings,
                                           change.topic->first_group.value()));
    record.value = table_bytes(builder);
  }
  RecordBatchBuilder batch(pool, {.size_expected = k_block_size});
  if (const auto appended = batch.append(record); appended != BatchAppend::appended) {
    return fail(ErrorCode::overloaded, "no memory for the metadata of topic '{}'", change.name);
  }
  return batch.finish();
}

Result<std::vector<TopicChange>> decode_topic_changes(std::span<const std::byte> batch) {
  TRY(const BatchHeader header, verify_batch(batch));
  RecordReader reader(header, batch.subspan(k_batch_header_size, header.size() - k_batch_header_size));
  std::vector<TopicChange> changes;
  RecordView record;
  for (;;) {
    TRY(const bool more, reader.next(record));
    if (!more) return changes;
    TRY(auto change, decode_change(record));
    changes.push_back(std::move(change));
  }
}

}  // namespace millrace
