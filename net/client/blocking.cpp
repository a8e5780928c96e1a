#include "net/client/blocking.h"

#include <algorithm>

#include "engine/reactor/shard_mail.h"
#include "engine/reactor/uring_reactor.h"
#include "net/client/call_producer.h"
#include "net/client/entry_decoder.h"

namespace millrace {
namespace {

constexpr Duration k_fetch_wait_max = std::chrono::milliseconds(k_fetch_wait_max_ms);
constexpr BufferPool::Options k_buffers{.bytes_max = 256_MiB, .idle_bytes_max = 16_MiB};

std::optional<std::string> owned(const std::optional<ByteView>& bytes) {
  if (!bytes) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

OwnedRecord owned(const RecordView& record) {
  OwnedRecord copy{.offset = record.offset,
                   .timestamp = record.timestamp,
                   .key = owned(record.key),
                   .value = owned(record.value),
                   .headers = {}};
  for (const RecordHeader& header : record.headers)
    copy.headers.push_back({std::string(header.key), owned(header.value)});
  return copy;
}

Task<Result<std::vector<OwnedRecord>>> read_some(Client& client, PartitionName from, Offset offset,
                                                 std::size_t count, Duration max_wait) {
  std::vector<OwnedRecord> records;
  Inflater inflater;
  EntryDecoder decoder(inflater);
  Offset ask_from = offset;
  const MonotonicTime now = client.reactor().now();
  const MonotonicTime until = now + std::min<Duration>(max_wait, k_never - now);
  while (records.size() < count) {
    const Duration left =
        std::clamp<Duration>(until - client.reactor().now(), Duration::zero(), k_fetch_wait_max);
    const Duration wait = records.empty() ? left : Duration::zero();
    CO_TRY(Fetched fetched, co_await client.fetch(from, ask_from, {.max_wait = wait}));
    if (fetched.entries.length == 0) {
      if (wait == Duration::zero()) break;
      continue;  // a server waits for less long than some callers
    }
    decoder.feed(std::move(fetched.entries));
    while (records.size() < count) {
      RecordView record;
      CO_TRY(const bool more, decoder.next(record, offset));
      if (!more) break;
      records.push_back(owned(record));
    }
    ask_from = std::max(ask_from, fetched.next_offset);
  }
  co_return records;
}

}  // namespace

// In the order of construction; each goes before what it works with.
struct BlockingClient::State {
  ShardMail mail{1};
  std::unique_ptr<UringReactor> reactor;
  std::optional<Client> client;
  std::optional<CallProducer> producer;
};

BlockingClient::BlockingClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
BlockingClient::~BlockingClient() = default;
BlockingClient::BlockingClient(BlockingClient&&) noexcept = default;
BlockingClient& BlockingClient::operator=(BlockingClient&&) noexcept = default;

Result<BlockingClient> BlockingClient::connect(ClientOptions options) {
  auto state = std::make_unique<State>();
  UringReactor::Setup setup;
  setup.buffers = k_buffers;
  setup.options.registered_bytes = 0;
  TRY(state->reactor, UringReactor::create(setup, state->mail));
  state->client.emplace(*state->reactor, std::move(options));
  state->producer.emplace(*state->client);
  BlockingClient client(std::move(state));
  TRY_VOID(client.run([](Client& inner) { return inner.connect(); }));
  return client;
}

void BlockingClient::run_task(Task<void> task) {
  state_->reactor->run(std::move(task));
}
Client& BlockingClient::client() {
  return *state_->client;
}

Result<TopicId> BlockingClient::create_topic(TopicSpec topic) {
  return run([&](Client& inner) { return inner.create_topic(std::move(topic)); });
}
Result<std::vector<TopicSpec>> BlockingClient::list_topics() {
  return run([](Client& inner) { return inner.list_topics(); });
}
Result<TopicDescription> BlockingClient::describe_topic(std::string name) {
  return run([&](Client& inner) { return inner.describe_topic(std::move(name)); });
}
Result<TopicSpec> BlockingClient::alter_topic(std::string name, TopicSettingsChange change) {
  return run([&](Client& inner) { return inner.alter_topic(std::move(name), change); });
}
Result<void> BlockingClient::delete_topic(std::string name) {
  return run([&](Client& inner) { return inner.delete_topic(std::move(name)); });
}
Result<ListedOffset> BlockingClient::list_offset(PartitionName of, OffsetQuery query,
                                                 std::int64_t timestamp) {
  return run([&](Client& inner) { return inner.list_offset(std::move(of), query, timestamp); });
}
Result<Offset> BlockingClient::trim(PartitionName of, Offset before) {
  return run([&](Client& inner) { return inner.trim(std::move(of), before); });
}
Result<ServerStatus> BlockingClient::status() {
  return run([](Client& inner) { return inner.status(); });
}

Result<std::vector<Offset>> BlockingClient::produce(const PartitionName& to,
                                                    std::span<const RecordView> records,
                                                    ProducerOptions options) {
  return run([&](Client&) { return state_->producer->produce(to, records, options); });
}
Result<std::vector<OwnedRecord>> BlockingClient::read(const PartitionName& from, Offset offset,
                                                      std::size_t count, Duration max_wait) {
  return run([&](Client& inner) { return read_some(inner, from, offset, count, max_wait); });
}

}  // namespace millrace
