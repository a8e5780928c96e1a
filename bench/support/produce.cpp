#include "bench/support/produce.h"

#include <algorithm>
#include <vector>

#include "bench/support/samples.h"
#include "bench/support/server.h"

namespace millrace::bench {
namespace {

bool wants_more(const Load& load, Clock::time_point end, std::uint64_t appended) {
  return load.seconds > 0 ? Clock::now() < end : appended < load.records;
}

}  // namespace

Task<Result<Rate>> produce(Client& client, Load load) {
  Producer producer(client, load.producer);
  CO_TRY(const ProducerTopic topic, co_await producer.open(load.topic));
  const std::vector<std::byte> value(load.record_size, std::byte{'v'});
  const std::uint32_t records_at_once = std::max(load.producer.batch_bytes / load.record_size, 1u);
  const auto begin = Clock::now();
  const auto end = after_seconds(load.seconds);
  for (std::uint64_t appended = 0; wants_more(load, end, appended);) {
    // The reactor works after each batch's worth.
    for (std::uint32_t i = 0; i < records_at_once; ++i) {
      auto taken = producer.append(topic, 0, {.offset = {}, .key = {}, .value = value, .headers = {}});
      if (taken) {
        ++appended;
        continue;
      }
      if (taken.error().code != ErrorCode::overloaded) co_return fail(std::move(taken).error());
      CO_TRY_VOID(co_await producer.room());
    }
    co_await client.reactor().yield();
  }
  CO_TRY_VOID(co_await producer.flush());
  const double elapsed = seconds_since(begin);
  const ProducerStatistics& statistics = producer.statistics();
  const auto records = static_cast<double>(statistics.records_delivered);
  const auto us = [](Duration duration) { return static_cast<double>(duration.count()) / 1000; };
  co_return Rate{records / elapsed, records * load.record_size, elapsed,
                 us(statistics.latency.percentile(50)), us(statistics.latency.percentile(99))};
}

Result<void> make_filled_topic(const Address& server, const std::string& topic, std::uint32_t record_size,
                               std::uint64_t bytes) {
  return with_client(server, [&](Client& client) -> Task<Result<void>> {
    CO_TRY_VOID(co_await client.create_topic({.name = topic, .id = {}}));
    CO_TRY_VOID(co_await produce(
        client, {.topic = topic, .record_size = record_size, .records = bytes / record_size}));
    co_return Result<void>{};
  });
}

}  // namespace millrace::bench
