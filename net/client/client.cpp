#include "net/client/client.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "engine/wire/protocol_generated.h"
#include "engine/wire/wire_id.h"
#include "net/client/answers.h"
#include "net/client/connection.h"

namespace millrace {
namespace {

using Fields = flatbuffers::FlatBufferBuilder;
using Self = std::shared_ptr<ClientConnection>;

std::uint64_t milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()));
}
std::uint32_t milliseconds_32(Duration duration) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(milliseconds(duration), std::numeric_limits<std::uint32_t>::max()));
}

// What the server is told of a request's deadline. It counts from the arrival and answers a request that it
// could not begin by then with `overloaded`: an eighth of the time is left for that answer to come while
// somebody waits for it. Otherwise the outcome would be unknown, of a request that was refused. 0 would be
// the server's default.
std::uint32_t deadline_ms(Duration timeout) {
  return std::max(milliseconds_32(timeout - timeout / 8), 1u);
}

flatbuffers::Offset<wire::Partition> partition(Fields& fields, const PartitionName& name) {
  const auto topic = fields.CreateString(name.topic);
  return wire::CreatePartition(fields, topic, nullptr, name.partition);
}

// Sends the table in the connection's builder. Not a coroutine: the table must be queued before anybody else
// builds one.
Task<Result<CallAnswer>> ask(ClientConnection& connection, FrameType type,
                             Duration timeout = Duration::zero()) {
  return connection.call({.type = type,
                          .deadline = connection.deadline(timeout),
                          .patience = connection.options().connect_patience});
}

}  // namespace

Client::Client(Reactor& reactor, ClientOptions options)
    : connection_(std::make_shared<ClientConnection>(reactor, std::move(options))) {}
Client::~Client() {
  connection_->close();
}

void Client::close() {
  connection_->close();
}
bool Client::connected() const {
  return connection_->server() != nullptr;
}
Reactor& Client::reactor() const {
  return connection_->reactor();
}
const ClientOptions& Client::options() const {
  return connection_->options();
}
const ClientCounters& Client::counters() const {
  return connection_->counters();
}

Task<Result<ServerInfo>> Client::connect() {
  const Self self = connection_;
  CO_TRY_VOID(co_await self->call({.kind = CallKind::connect}));
  if (self->server() == nullptr) {
    co_return fail(ErrorCode::unavailable, "the connection to {} broke as soon as it was made",
                   to_string(self->options().server));
  }
  co_return *self->server();
}

Task<Result<TopicId>> Client::create_topic(TopicSpec topic) {
  const Self self = connection_;
  Fields& fields = self->builder();
  const auto name = fields.CreateString(topic.name);
  const auto settings =
      wire::CreateTopicSettings(fields, topic.segment_bytes, milliseconds(topic.segment_age),
                                topic.retention_bytes, milliseconds(topic.retention_age));
  fields.Finish(wire::CreateCreateTopic(fields, name, topic.partitions, settings,
                                        deadline_ms(self->options().request_timeout)));
  CO_TRY(const CallAnswer answer, co_await ask(*self, FrameType::create_topic));
  co_return created_topic(answer);
}

Task<Result<std::vector<TopicSpec>>> Client::list_topics() {
  const Self self = connection_;
  std::vector<TopicSpec> topics;
  for (bool more = true; more;) {
    Fields& fields = self->builder();
    const auto after =
        topics.empty() ? flatbuffers::Offset<flatbuffers::String>() : fields.CreateString(topics.back().name);
    fields.Finish(wire::CreateListTopics(fields, after));
    CO_TRY(const CallAnswer answer, co_await ask(*self, FrameType::list_topics));
    CO_TRY(more, add_listed_topics(answer, topics));
  }
  co_return topics;
}

Task<Result<TopicDescription>> Client::describe_topic(std::string name) {
  const Self self = connection_;
  Fields& fields = self->builder();
  fields.Finish(wire::CreateDescribeTopic(fields, fields.CreateString(name)));
  CO_TRY(const CallAnswer answer, co_await ask(*self, FrameType::describe_topic));
  co_return described_topic(answer);
}

Task<Result<TopicSpec>> Client::alter_topic(std::string name, TopicSettingsChange change) {
  const Self self = connection_;
  Fields& fields = self->builder();
  const auto wire_name = fields.CreateString(name);
  wire::TopicSettingsChangeBuilder changes(fields);
  if (change.segment_bytes) changes.add_segment_bytes(*change.segment_bytes);
  if (change.segment_age) changes.add_segment_ms(milliseconds(*change.segment_age));
  if (change.retention_bytes) changes.add_retention_bytes(*change.retention_bytes);
  if (change.retention_age) changes.add_retention_ms(milliseconds(*change.retention_age));
  const auto wire_change = changes.Finish();
  fields.Finish(wire::CreateAlterTopic(fields, wire_name, nullptr, wire_change,
                                       deadline_ms(self->options().request_timeout)));
  CO_TRY(const CallAnswer answer, co_await ask(*self, FrameType::alter_topic));
  co_return altered_topic(answer);
}

Task<Result<void>> Client::delete_topic(std::string name) {
  const Self self = connection_;
  Fields& fields = self->builder();
  fields.Finish(wire::CreateDeleteTopic(fields, fields.CreateString(name), nullptr,
                                        deadline_ms(self->options().request_timeout)));
  CO_TRY_VOID(co_await ask(*self, FrameType::delete_topic));
  co_return Result<void>();
}

Task<Result<Produced>> Client::produce_batch(PartitionName to, Slice batch, ProduceOptions options) {
  const Self self = connection_;
  if (batch.length > k_batch_size_max) {
    co_return fail(ErrorCode::record_too_large, "a batch of {} bytes; at most {} are taken", batch.length,
                   k_batch_size_max);
  }
  const Duration timeout =
      options.timeout == Duration::zero() ? self->options().request_timeout : options.timeout;
  Fields& fields = self->builder();
  const auto name = partition(fields, to);
  fields.Finish(
      wire::CreateProduce(fields, name, static_cast<wire::Ack>(options.acks), deadline_ms(timeout)));
  const bool answered = options.acks != Acks::none;
  CO_TRY(const CallAnswer answer,
         co_await self->call({.type = FrameType::produce,
                              .kind = answered ? CallKind::answered : CallKind::unanswered,
                              .payload = std::move(batch),
                              .deadline = self->deadline(timeout),
                              .patience = self->options().connect_patience}));
  if (!answered) co_return Produced{};
  co_return produced(answer);
}

Task<Result<std::int64_t>> Client::init_producer() {
  const Self self = connection_;
  Fields& fields = self->builder();
  fields.Finish(wire::CreateInitProducer(fields));
  CO_TRY(const CallAnswer answer, co_await ask(*self, FrameType::init_producer));
  co_return producer_id(answer);
}

Task<Result<Fetched>> Client::fetch(PartitionName from, Offset offset, FetchOptions options) {
  const Self self = connection_;
  Fields& fields = self->builder();
  const auto name = partition(fields, from);
  // The payload is one frame's, whatever was asked for.
  const std::uint32_t max_bytes = std::min(options.max_bytes, k_batch_size_max);
  fields.Finish(wire::CreateFetch(fields, name, offset.value(), std::min(options.min_bytes, max_bytes),
                                  max_bytes, milliseconds_32(options.max_wait)));
  const Duration timeout =
      options.timeout == Duration::zero() ? self->options().request_timeout : options.timeout;
  CO_TRY(const CallAnswer answer, co_await ask(*self, FrameType::fetch, options.max_wait + timeout));
  co_return fetched(answer);
}

Task<Result<ListedOffset>> Client::list_offset(PartitionName of, OffsetQuery query, std::int64_t timestamp) {
  const Self self = connection_;
  Fields& fields = self->builder();
  const auto name = partition(fields, of);
  // A search is ended by the server, which says how far it came.
  fields.Finish(wire::CreateListOffsets(fields, name, static_cast<wire::OffsetSpec>(query), timestamp,
                                        deadline_ms(self->options().request_timeout)));
  CO_TRY(const CallAnswer answer, co_await ask(*self, FrameType::list_offsets));
  co_return listed_offset(answer);
}

Task<Result<Offset>> Client::trim(PartitionName of, Offset before) {
  const Self self = connection_;
  Fields& fields = self->builder();
  const auto name = partition(fields, of);
  fields.Finish(wire::CreateTrim(fields, name, before.value()));
  CO_TRY(const CallAnswer answer, co_await ask(*self, FrameType::trim));
  co_return trimmed(answer);
}

Task<Result<ServerStatus>> Client::status() {
  const Self self = connection_;
  Fields& fields = self->builder();
  fields.Finish(wire::CreateStatus(fields));
  CO_TRY(const CallAnswer answer, co_await ask(*self, FrameType::status));
  co_return server_status(answer);
}

}  // namespace millrace
