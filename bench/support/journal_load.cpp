#include "bench/support/journal_load.h"

#include <optional>
#include <utility>

#include "bench/support/batches.h"
#include "bench/support/samples.h"
#include "engine/reactor/wait.h"

namespace millrace::bench {
namespace {

constexpr std::uint32_t k_value_size = 32u << 10;

struct Run {
  Client& client;
  std::function<bool()> enough;
  Slice batch;
  Duration period;  // between two batches of a partition
  std::optional<Error> failure{};
};

Task<void> append_to(Run& run, PartitionName to, Duration wait) {
  (void)co_await run.client.reactor().sleep(wait);
  while (!run.failure && !run.enough()) {
    const auto next = run.client.reactor().now() + run.period;
    auto produced = co_await run.client.produce_batch(to, run.batch);
    if (!produced) run.failure = std::move(produced).error();
    (void)co_await run.client.reactor().sleep_until(next);
  }
}

}  // namespace

Task<Result<void>> load_journal(Client& client, JournalLoad load, std::function<bool()> enough) {
  CO_TRY(Slice batch, batch_of_one(client.reactor().buffers(), k_value_size));
  const double period =
      load.bytes_per_second > 0 ? batch.length * load.partitions / load.bytes_per_second : 0;
  Run run{client, std::move(enough), std::move(batch),
          std::chrono::duration_cast<Duration>(std::chrono::duration<double>(period))};
  Gate gate(client.reactor());
  // One after the other within a period.
  for (std::uint32_t i = 0; i < load.partitions; ++i)
    gate.spawn(append_to(run, {load.topic, i}, run.period * i / load.partitions));
  co_await gate.wait();
  if (run.failure) co_return fail(*std::move(run.failure));
  co_return Result<void>{};
}

}  // namespace millrace::bench
