// What the client library does for each record.
#include <benchmark/benchmark.h>
#include <memory>
#include <vector>

#include "bench/support/on_reactor.h"
#include "net/client/producer_state.h"

namespace millrace {
namespace {

// Records into an open batch, which is dropped before it is sent: the path of Producer::append() for all but
// the first and the last record of a batch.
void producer_append(benchmark::State& state) {
  constexpr std::uint32_t k_batch_bytes = 256u << 10;
  const std::vector<std::byte> value(static_cast<std::size_t>(state.range(0)), std::byte{'v'});
  const auto records = static_cast<std::int64_t>(k_batch_bytes / (value.size() + 16));
  const RecordView record{.offset = {}, .key = {}, .value = value, .headers = {}};
  on_reactor(state, [&](Reactor& reactor) -> Task<void> {
    Client client(reactor, {});
    for (auto _ : state) {
      auto producer = std::make_shared<ProducerState>(
          client, ProducerOptions{.batch_bytes = 2 * k_batch_bytes, .idempotent = false}, nullptr);
      const ProducerTopic topic = producer->add_topic("events", 1);
      for (std::int64_t i = 0; i < records; ++i)
        benchmark::DoNotOptimize(producer->append(topic, producer->choose_partition(topic, record), record));
      producer->close();
      co_await reactor.yield();
    }
  });
  state.SetItemsProcessed(state.iterations() * records);
}
BENCHMARK(producer_append)->Arg(100)->Arg(1024);

}  // namespace
}  // namespace millrace
