// The tables of all requests and answers: verified, and then every field read, as their handlers may.
//
// Input: u8 type, as in the preamble of a frame, u8 (1: at an odd address), then the table.
#include <string_view>

#include "engine/base/check.h"
#include "engine/wire/frame.h"
#include "engine/wire/protocol_generated.h"
#include "engine/wire/table.h"
#include "fuzz/input.h"
#include "net/wire_tables.h"

namespace millrace::fuzz {
namespace {

// Reads of fields that nothing else keeps alive.
std::uint64_t g_sum = 0;

// In a class, so that each overload sees all the others.
struct Reading {
  template <class Number>
    requires(std::is_arithmetic_v<Number> || std::is_enum_v<Number>)
  static void read(Number number) {
    g_sum += static_cast<std::uint64_t>(number);
  }
  static void read(const flatbuffers::String* text) {
    if (text == nullptr) return;
    for (const char c : text->string_view()) read(c);
    CHECK(text->c_str()[text->size()] == '\0', "a string without its end");
  }
  static void read(const wire::Id* id) {
    if (id == nullptr) return;
    read(id->a());
    read(id->b());
  }
  static void read(const flatbuffers::Vector<std::uint8_t>* bytes) {
    if (bytes == nullptr) return;
    for (const std::uint8_t byte : *bytes) read(byte);
  }
  template <class Number>
  static void read(const flatbuffers::Optional<Number>& number) {
    if (number) read(*number);
  }
  template <class... Fields>
  static void read_all(Fields... fields) {
    (read(fields), ...);
  }

  static void read(const wire::Partition* partition) {
    if (partition != nullptr) read_all(partition->topic(), partition->topic_id(), partition->partition());
  }
  static void read(const wire::TopicSettings* settings) {
    if (settings == nullptr) return;
    read_all(settings->segment_bytes(), settings->segment_ms(), settings->retention_bytes(),
             settings->retention_ms());
  }
  static void read(const wire::TopicSettingsChange* change) {
    if (change == nullptr) return;
    read_all(change->segment_bytes(), change->segment_ms(), change->retention_bytes(),
             change->retention_ms());
  }
  static void read(const wire::TopicDescription* topic) {
    if (topic != nullptr) read_all(topic->name(), topic->topic_id(), topic->partitions(), topic->settings());
  }
  static void read(const wire::PartitionState* state) {
    if (state == nullptr) return;
    read_all(state->partition(), state->group(), state->shard(), state->term(), state->log_start(),
             state->durable_end(), state->committed_end(), state->end(), state->bytes(), state->segments());
  }
  static void read(const wire::Counter* counter) {
    if (counter != nullptr) read_all(counter->name(), counter->value());
  }
  static void read(const wire::LatencySummary* latency) {
    if (latency == nullptr) return;
    read_all(latency->name(), latency->count(), latency->p50_ns(), latency->p90_ns(), latency->p99_ns(),
             latency->p999_ns(), latency->max_ns());
  }
  template <class T>
  static void read(const flatbuffers::Vector<flatbuffers::Offset<T>>* tables) {
    if (tables == nullptr) return;
    for (const T* table : *tables) read(table);
  }

  static void read_table(const wire::Hello& hello) {
    read_all(hello.version_min(), hello.version_max(), hello.features(), hello.client(), hello.cluster(),
             hello.authentication());
  }
  static void read_table(const wire::CreateTopic& create) {
    read_all(create.name(), create.partitions(), create.settings(), create.deadline_ms());
    const std::string_view name =
        create.name() == nullptr ? std::string_view() : create.name()->string_view();
    const auto topic = topic_from_wire(name, create.partitions(), create.settings());
    if (!topic || !check_topic(*topic)) return;
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(topic_to_wire(builder, *topic));
    const auto written = verified<wire::TopicDescription>(table_bytes(builder));
    CHECK(written, "{}", written.error().message);
    const auto again = topic_from_wire(name, (*written)->partitions(), (*written)->settings());
    CHECK(again && *again == *topic, "the topic came back changed");
  }
  static void read_table(const wire::ListTopics& list) { read_all(list.after()); }
  static void read_table(const wire::DescribeTopic& describe) {
    read_all(describe.name(), describe.topic_id());
  }
  static void read_table(const wire::DeleteTopic& remove) {
    read_all(remove.name(), remove.topic_id(), remove.deadline_ms());
  }
  static void read_table(const wire::AlterTopic& alter) {
    read_all(alter.name(), alter.topic_id(), alter.change(), alter.deadline_ms());
    const auto topic = changed_topic(Topic{.name = "orders", .id = {}, .settings = {}}, alter.change());
    if (topic) static_cast<void>(check_topic(*topic));
  }
  static void read_table(const wire::Produce& produce) {
    read_all(produce.to(), produce.ack(), produce.deadline_ms());
  }
  static void read_table(const wire::InitProducer&) {}
  static void read_table(const wire::Fetch& fetch) {
    read_all(fetch.from(), fetch.offset(), fetch.min_bytes(), fetch.max_bytes(), fetch.max_wait_ms());
  }
  static void read_table(const wire::ListOffsets& list) {
    read_all(list.of(), list.spec(), list.timestamp(), list.deadline_ms());
  }
  static void read_table(const wire::Trim& trim) { read_all(trim.of(), trim.before()); }
  static void read_table(const wire::Status&) {}
  static void read_table(const wire::HelloAnswer& hello) {
    read_all(hello.version(), hello.features(), hello.cluster(), hello.node(), hello.frame_size_max(),
             hello.requests_in_flight_max(), hello.server());
  }
  static void read_table(const wire::Error& error) {
    read_all(error.code(), error.message(), error.retryable(), error.leader(), error.throttle_ms(),
             error.log_start(), error.log_end());
  }
  static void read_table(const wire::CreateTopicAnswer& create) { read_all(create.topic_id()); }
  static void read_table(const wire::ListTopicsAnswer& list) { read_all(list.topics(), list.more()); }
  static void read_table(const wire::DescribeTopicAnswer& describe) {
    read_all(describe.topic(), describe.partitions());
  }
  static void read_table(const wire::DeleteTopicAnswer&) {}
  static void read_table(const wire::AlterTopicAnswer& alter) { read_all(alter.topic()); }
  static void read_table(const wire::ProduceAnswer& produce) {
    read_all(produce.base_offset(), produce.term(), produce.reached(), produce.log_start());
  }
  static void read_table(const wire::InitProducerAnswer& init) { read_all(init.producer_id()); }
  static void read_table(const wire::FetchAnswer& fetch) {
    read_all(fetch.next_offset(), fetch.log_start(), fetch.durable_end(), fetch.committed_end(),
             fetch.term());
  }
  static void read_table(const wire::ListOffsetsAnswer& list) { read_all(list.offset(), list.timestamp()); }
  static void read_table(const wire::TrimAnswer& trim) { read_all(trim.log_start()); }
  static void read_table(const wire::StatusAnswer& status) {
    read_all(status.server(), status.cluster(), status.node(), status.shards(), status.uptime_ms(),
             status.data(), status.counters(), status.latencies());
  }
};

template <class T>
void verify_and_read(std::span<const std::byte> bytes) {
  const auto table = verified<T>(bytes);
  if (table) return Reading::read_table(**table);
  CHECK(table.error().code == ErrorCode::protocol_error, "{}", table.error().message);
}

using Read = void (*)(std::span<const std::byte>);
struct Tables {
  Read request;
  Read answer;
};
template <class Request, class Answer>
constexpr Tables k_tables{&verify_and_read<Request>, &verify_and_read<Answer>};

// Without a default: a new type does not compile until its tables are here.
#pragma clang diagnostic push
#pragma clang diagnostic error "-Wswitch"
Tables tables_of(FrameType type) {
  switch (type) {
    case FrameType::hello:
      return k_tables<wire::Hello, wire::HelloAnswer>;
    case FrameType::create_topic:
      return k_tables<wire::CreateTopic, wire::CreateTopicAnswer>;
    case FrameType::list_topics:
      return k_tables<wire::ListTopics, wire::ListTopicsAnswer>;
    case FrameType::describe_topic:
      return k_tables<wire::DescribeTopic, wire::DescribeTopicAnswer>;
    case FrameType::delete_topic:
      return k_tables<wire::DeleteTopic, wire::DeleteTopicAnswer>;
    case FrameType::produce:
      return k_tables<wire::Produce, wire::ProduceAnswer>;
    case FrameType::fetch:
      return k_tables<wire::Fetch, wire::FetchAnswer>;
    case FrameType::list_offsets:
      return k_tables<wire::ListOffsets, wire::ListOffsetsAnswer>;
    case FrameType::trim:
      return k_tables<wire::Trim, wire::TrimAnswer>;
    case FrameType::status:
      return k_tables<wire::Status, wire::StatusAnswer>;
    case FrameType::alter_topic:
      return k_tables<wire::AlterTopic, wire::AlterTopicAnswer>;
    case FrameType::init_producer:
      return k_tables<wire::InitProducer, wire::InitProducerAnswer>;
    case FrameType::error:
      return k_tables<wire::Error, wire::Error>;
  }
  return {};
}
#pragma clang diagnostic pop

Read table_of(std::uint8_t type) {
  if (type == number(FrameType::error)) return tables_of(FrameType::error).answer;
  const auto request = request_type(type & ~k_answer_bit & 0xff);
  if (!request) return nullptr;
  return (type & k_answer_bit) == 0 ? tables_of(*request).request : tables_of(*request).answer;
}

void read_frame_table(Input input) {
  const Read read = table_of(input.take<std::uint8_t>());
  if (read == nullptr) return;
  const std::size_t shift = input.take<std::uint8_t>() & 1;
  Bytes bytes = input.take_rest();
  bytes.insert(bytes.begin(), shift, std::byte{0});
  read(std::span<const std::byte>(bytes).subspan(shift));
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  millrace::fuzz::read_frame_table({data, size});
  return 0;
}
