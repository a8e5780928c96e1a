// A first application: makes a topic, writes a thousand records, reads them back.
//
//   millrace serve --data /tmp/millrace-example &
//   examples/quickstart 127.0.0.1:7420
//
// docs/client.md explains each step.
#include <cstdio>
#include <fmt/format.h>
#include <string>
#include <string_view>

#include "net/client/blocking.h"
#include "net/client/consumer.h"
#include "net/client/producer.h"

using namespace millrace;

namespace {

constexpr int k_records = 1000;
constexpr const char* k_topic = "quickstart-example";

ByteView bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Task<Result<void>> write_records(Client& client) {
  Producer producer(client, {}, [](const Delivery& delivery) {
    if (delivery.result) {
      fmt::print("{} records are durable, from offset {} on\n", delivery.count,
                 delivery.result->base_offset.value());
    } else {
      // connection_lost and timed_out mean: they may or may not have been written.
      fmt::print("{} records failed: {}\n", delivery.count, delivery.result.error().message);
    }
  });
  CO_TRY(const ProducerTopic topic, co_await producer.open(k_topic));
  for (int i = 0; i < k_records; ++i) {
    const std::string key = fmt::format("key-{}", i % 10);
    const std::string value = fmt::format("hello number {}", i);
    RecordView record;
    record.key = bytes_of(key);
    record.value = bytes_of(value);
    auto taken = producer.append(topic, record);
    while (!taken && taken.error().code == ErrorCode::overloaded) {
      CO_TRY_VOID(co_await producer.room());
      taken = producer.append(topic, record);
    }
    if (!taken) co_return fail(taken.error());
  }
  co_return co_await producer.flush();
}

Task<Result<void>> read_records(Client& client) {
  Consumer consumer(client);
  consumer.follow({k_topic, 0}, Offset{0});
  for (int left = k_records; left > 0;) {
    CO_TRY_VOID(co_await consumer.wait());
    while (const ConsumedRecord* record = left > 0 ? consumer.next() : nullptr) {
      fmt::print("{}: {} = {}\n", record->record.offset.value(), text_of(*record->record.key),
                 text_of(*record->record.value));
      --left;
    }
  }
  co_return Result<void>();
}

Result<void> run(const char* server) {
  TRY(Address address, parse_address(server));
  ClientOptions options;
  options.server = std::move(address);
  TRY(BlockingClient client, BlockingClient::connect(std::move(options)));
  TopicSpec topic;
  topic.name = k_topic;
  const auto created = client.create_topic(topic);
  // Of an earlier run, whose records are still there.
  if (!created && created.error().code != ErrorCode::topic_exists) return fail(created.error());
  TRY_VOID(client.run(write_records));
  return client.run(read_records);
}

}  // namespace

int main(int argc, char** argv) {
  const Result<void> done = run(argc > 1 ? argv[1] : "127.0.0.1:7420");
  if (done) return 0;
  fmt::print(stderr, "quickstart: {}\n", done.error().message);
  return 1;
}
