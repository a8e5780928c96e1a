#include "net/client/answers.h"

#include <algorithm>

#include "engine/wire/protocol_generated.h"
#include "engine/wire/table.h"
#include "engine/wire/wire_id.h"

namespace millrace {
namespace {

std::string text(const flatbuffers::String* field) {
  return field == nullptr ? std::string() : field->str();
}

template <class Id>
Id id_of(const wire::Id* field) {
  return field == nullptr ? Id{} : from_wire<Id>(*field);
}

template <class T>
Result<Verified<T>> table_of(const CallAnswer& answer) {
  return verified<T>(answer.table.bytes());
}

std::unexpected<Error> lacks(const char* what) {
  return fail(ErrorCode::protocol_error, "the server's answer lacks {}", what);
}

TopicSpec topic_spec(const wire::TopicDescription& from) {
  TopicSpec topic;
  topic.name = text(from.name());
  topic.partitions = from.partitions();
  topic.id = id_of<TopicId>(from.topic_id());
  if (const wire::TopicSettings* settings = from.settings()) {
    topic.segment_bytes = settings->segment_bytes();
    topic.segment_age = std::chrono::milliseconds(settings->segment_ms());
    topic.retention_bytes = settings->retention_bytes();
    topic.retention_age = std::chrono::milliseconds(settings->retention_ms());
  }
  return topic;
}

}  // namespace

std::string to_string(const PartitionName& name) {
  return fmt::format("{}/{}", name.topic, name.partition);
}

Result<void> check_answer(const ReceivedFrame& frame, FrameType asked) {
  if (frame.preamble.type == number(FrameType::error)) {
    TRY(const auto table, verified<wire::Error>(frame.table.bytes()));
    // A number of a newer server that this client does not know.
    const ErrorCode code = error_code(table->code()).value_or(ErrorCode::protocol_error);
    return fail(Error{code, text(table->message())});
  }
  if (frame.preamble.type == answer_to(asked)) return {};
  return fail(ErrorCode::protocol_error, "the server answered a request of type {} with a frame of type {}",
              number(asked), frame.preamble.type);
}

Result<ServerInfo> server_info(std::span<const std::byte> bytes) {
  TRY(const auto table, verified<wire::HelloAnswer>(bytes));
  if (table->version() != k_protocol_version) {
    return fail(ErrorCode::unsupported_version, "the server chose protocol version {}; this client speaks {}",
                table->version(), k_protocol_version);
  }
  ServerInfo info;
  info.server = text(table->server());
  info.cluster = id_of<ClusterId>(table->cluster());
  info.node = NodeId{table->node()};
  info.frame_size_max = std::min(table->frame_size_max(), k_frame_size_max);
  info.requests_in_flight_max = std::max(table->requests_in_flight_max(), 1u);
  return info;
}

Result<TopicId> created_topic(const CallAnswer& answer) {
  TRY(const auto table, table_of<wire::CreateTopicAnswer>(answer));
  return id_of<TopicId>(table->topic_id());
}

Result<bool> add_listed_topics(const CallAnswer& answer, std::vector<TopicSpec>& topics) {
  TRY(const auto table, table_of<wire::ListTopicsAnswer>(answer));
  if (table->topics() != nullptr) {
    for (const wire::TopicDescription* topic : *table->topics()) {
      // In order, each once: a server that repeats itself must not be asked for ever.
      if (!topics.empty() && text(topic->name()) <= topics.back().name) return lacks("the order of names");
      topics.push_back(topic_spec(*topic));
    }
  }
  if (table->more() && (table->topics() == nullptr || table->topics()->size() == 0)) return lacks("topics");
  return table->more();
}

Result<TopicDescription> described_topic(const CallAnswer& answer) {
  TRY(const auto table, table_of<wire::DescribeTopicAnswer>(answer));
  if (table->topic() == nullptr || table->partitions() == nullptr)
    return lacks("the topic or its partitions");
  TopicDescription description{.topic = topic_spec(*table->topic()), .partitions = {}};
  for (const wire::PartitionState* state : *table->partitions()) {
    description.partitions.push_back({.partition = state->partition(),
                                      .group = GroupId{state->group()},
                                      .shard = state->shard(),
                                      .term = Term{state->term()},
                                      .log_start = Offset{state->log_start()},
                                      .durable_end = Offset{state->durable_end()},
                                      .committed_end = Offset{state->committed_end()},
                                      .end = Offset{state->end()},
                                      .bytes = state->bytes(),
                                      .segments = state->segments()});
  }
  std::ranges::sort(description.partitions, {}, &PartitionDescription::partition);
  for (std::uint32_t i = 0; i < description.partitions.size(); ++i) {
    if (description.partitions[i].partition != i) return lacks("a partition");
  }
  if (description.partitions.size() != description.topic.partitions) return lacks("partitions");
  return description;
}

Result<TopicSpec> altered_topic(const CallAnswer& answer) {
  TRY(const auto table, table_of<wire::AlterTopicAnswer>(answer));
  if (table->topic() == nullptr) return lacks("the topic");
  return topic_spec(*table->topic());
}

Result<Produced> produced(const CallAnswer& answer) {
  TRY(const auto table, table_of<wire::ProduceAnswer>(answer));
  if (table->reached() > wire::Ack::MAX || table->base_offset() < 0)
    return lacks("a possible offset or level");
  return Produced{.base_offset = Offset{table->base_offset()},
                  .term = Term{table->term()},
                  .reached = static_cast<Acks>(table->reached()),
                  .log_start = Offset{table->log_start()}};
}

Result<std::int64_t> producer_id(const CallAnswer& answer) {
  TRY(const auto table, table_of<wire::InitProducerAnswer>(answer));
  if (table->producer_id() < 0) return lacks("a possible producer id");
  return table->producer_id();
}

Result<Fetched> fetched(const CallAnswer& answer) {
  TRY(const auto table, table_of<wire::FetchAnswer>(answer));
  return Fetched{.entries = answer.payload,
                 .next_offset = Offset{table->next_offset()},
                 .log_start = Offset{table->log_start()},
                 .durable_end = Offset{table->durable_end()},
                 .committed_end = Offset{table->committed_end()},
                 .term = Term{table->term()}};
}

Result<ListedOffset> listed_offset(const CallAnswer& answer) {
  TRY(const auto table, table_of<wire::ListOffsetsAnswer>(answer));
  return ListedOffset{.offset = Offset{table->offset()}, .timestamp = table->timestamp()};
}

Result<Offset> trimmed(const CallAnswer& answer) {
  TRY(const auto table, table_of<wire::TrimAnswer>(answer));
  return Offset{table->log_start()};
}

Result<ServerStatus> server_status(const CallAnswer& answer) {
  TRY(const auto table, table_of<wire::StatusAnswer>(answer));
  ServerStatus status;
  status.server = text(table->server());
  status.cluster = id_of<ClusterId>(table->cluster());
  status.node = NodeId{table->node()};
  status.shards = table->shards();
  status.uptime = std::chrono::milliseconds(table->uptime_ms());
  status.data = text(table->data());
  if (table->counters() != nullptr) {
    for (const wire::Counter* counter : *table->counters())
      status.counters.push_back({text(counter->name()), counter->value()});
  }
  if (table->latencies() != nullptr) {
    for (const wire::LatencySummary* from : *table->latencies()) {
      status.latencies.push_back({.name = text(from->name()),
                                  .count = from->count(),
                                  .p50 = Duration(from->p50_ns()),
                                  .p90 = Duration(from->p90_ns()),
                                  .p99 = Duration(from->p99_ns()),
                                  .p999 = Duration(from->p999_ns()),
                                  .max = Duration(from->max_ns())});
    }
  }
  return status;
}

}  // namespace millrace
