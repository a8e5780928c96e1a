// What does not make appends slower: many topics, much that is stored, many connections, checkpoints. In
// pairs: 1 KiB records, durable, at a steady rate that does not wait for answers; latency counts from when a
// record was due.
#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <optional>
#include <vector>

#include "bench/support/batches.h"
#include "bench/support/files.h"
#include "bench/support/journal_load.h"
#include "bench/support/produce.h"
#include "bench/support/samples.h"
#include "bench/support/server.h"
#include "engine/base/units.h"
#include "engine/reactor/wait.h"

namespace millrace::bench {
namespace {

constexpr std::uint32_t k_record = 1024;
constexpr std::uint32_t k_stored_record = 32u << 10;
constexpr std::uint64_t k_stored_little = 1_GiB;
constexpr double k_target = 1.5;
constexpr double k_warm_up_seconds = 0.3;
// Load on the journal, for both of its pair: with rings of these sizes, a checkpoint comes after each 32 MiB,
// or after 512 MiB.
constexpr double k_background_bytes_per_second = 64e6;
constexpr const char* k_ring_default = "64MiB";
constexpr const char* k_ring_small = "16MiB";
constexpr const char* k_ring_large = "256MiB";
constexpr const char* k_stored_topic = "stored";
constexpr const char* k_background_topic = "background";

struct Options {
  std::uint32_t many = 1000;  // topics, connections
  std::uint64_t stored = 20_GiB;
  double per_second = 2000;
};

std::uint64_t stored_little(const Options& options) {
  return std::min(k_stored_little, options.stored / 2);
}

std::string topic_name(std::uint32_t number) {
  return fmt::format("steady-{}", number);
}

// ---- appends at a steady rate

// Each append goes to the next topic, over the next connection.
struct Spread {
  std::uint32_t topics = 1, connections = 1;
};

struct Run {
  Slice batch;
  Samples samples{};
  std::optional<Error> failure{};
};

Task<void> append(Client& client, std::uint32_t topic, Clock::time_point due, Run& run) {
  auto produced = co_await client.produce_batch({topic_name(topic), 0}, run.batch);
  run.samples.record(Clock::now() - due);
  if (!produced) run.failure = std::move(produced).error();
}

Task<Result<Samples>> append_at_rate(Reactor& reactor, const Clients& clients, std::uint32_t topics,
                                     double per_second, double seconds) {
  CO_TRY(Slice batch, batch_of_one(reactor.buffers(), k_record));
  Run run{std::move(batch)};
  Gate appends(reactor);
  const auto begin = Clock::now();
  const auto count = static_cast<std::uint32_t>(per_second * seconds);
  for (std::uint32_t i = 0; i < count && !run.failure; ++i) {
    const auto due =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(i / per_second));
    // A timer is late by some 50 us, in both of a pair. A ring that is asked again and again instead starves
    // the kernel's work for the device on this processor: appends then take milliseconds.
    if (const auto now = Clock::now(); now < due)
      CO_TRY_VOID(co_await reactor.sleep_until(reactor.now() + (due - now)));
    appends.spawn(append(*clients[i % clients.size()], i % topics, due, run));
  }
  co_await appends.wait();
  if (run.failure) co_return fail(*std::move(run.failure));
  co_return std::move(run.samples);
}

struct Bench {
  const Settings& settings;
  const Options& options;
  Report& report;
};

enum class Background : std::uint8_t { none, journal_load };

Task<void> load_beside(Client& client, const bool& enough, Result<void>& loaded) {
  loaded = co_await load_journal(
      client, {.topic = k_background_topic, .bytes_per_second = k_background_bytes_per_second},
      [&enough] { return enough; });
}

Result<void> measure_appends(Bench& bench, const Server& server, const Spread& spread,
                             const std::string& what, Background background = Background::none) {
  ShardsOptions options;
  double server_seconds = 0;
  TRY(Result<Percentiles> measured,
      run_uring(options, [&](UringReactor& reactor) -> Task<Result<Percentiles>> {
        CO_TRY(const Clients clients,
               co_await connect_clients(reactor, server.address(), spread.connections));
        CO_TRY(const Clients others, co_await connect_clients(reactor, server.address(), 1));
        Result<void> loaded;
        bool enough = false;
        Gate beside(reactor);
        if (background == Background::journal_load)
          beside.spawn(load_beside(*others.front(), enough, loaded));
        const double per_second = bench.options.per_second;
        // Every topic once at least: the first append to it since the start begins a term.
        const double warm_up = std::max(k_warm_up_seconds, spread.topics / per_second);
        CO_TRY_VOID(co_await append_at_rate(reactor, clients, spread.topics, per_second, warm_up));
        const double before = server.cpu_seconds();
        auto samples =
            co_await append_at_rate(reactor, clients, spread.topics, per_second, bench.settings.seconds);
        server_seconds = server.cpu_seconds() - before;
        enough = true;
        co_await beside.wait();
        CO_TRY_VOID(std::move(loaded));
        CO_TRY(Samples all, std::move(samples));
        co_return percentiles_of(std::move(all));
      }));
  TRY(const Percentiles percentiles, std::move(measured));
  add_percentiles(bench.report, what, percentiles);
  bench.report.add(what + ", server's processor", "%", server_seconds / bench.settings.seconds * 100);
  return {};
}

// ---- the pairs

Result<void> checkpoints(Bench& bench, const Server& server, const std::string& what) {
  TRY(Counters before, server.counters());
  TRY_VOID(measure_appends(bench, server, {}, what, Background::journal_load));
  TRY(Counters after, server.counters());
  bench.report.add(what + ", checkpoints", "",
                   static_cast<double>(after["log_checkpoints"] - before["log_checkpoints"]));
  return {};
}

struct Servers {
  Server stored_little, stored_much, ring_small, ring_large;
};

// Both of a pair follow each other, and every other round goes backwards: what was measured before it does
// not count for one of the two alone.
Result<void> round(Bench& bench, const Servers& servers, bool backwards) {
  const std::uint32_t many = bench.options.many;
  const Server& little = servers.stored_little;
  std::vector<std::function<Result<void>()>> parts = {
      [&] { return measure_appends(bench, little, {.topics = many}, "many topics"); },
      [&] { return measure_appends(bench, little, {}, "1 topic, 1 connection"); },
      [&] { return measure_appends(bench, little, {.connections = many}, "many connections"); },
      [&] { return measure_appends(bench, little, {}, "little stored"); },
      [&] { return measure_appends(bench, servers.stored_much, {}, "much stored"); },
      [&] { return checkpoints(bench, servers.ring_large, "load, few checkpoints"); },
      [&] { return checkpoints(bench, servers.ring_small, "load, many checkpoints"); },
  };
  if (backwards) std::ranges::reverse(parts);
  bench.report.begin_round();
  for (const auto& part : parts) TRY_VOID(part());
  bench.report.end_round();
  return {};
}

void add_targets(const Options& options, Report& report) {
  const auto pair = [&](const std::string& what, const std::string& base, const std::string& other) {
    report.target(what, "x the p99 of its pair", report.median_of([&](const Report::Round& round) {
      return round.at(other + ", p99") / round.at(base + ", p99");
    }),
                  Bound::at_most, k_target);
  };
  pair(fmt::format("append p99 with {} topics in use, against 1", options.many), "1 topic, 1 connection",
       "many topics");
  pair(fmt::format("append p99 with {} stored, against {}", format_size(options.stored),
                   format_size(stored_little(options))),
       "little stored", "much stored");
  pair(fmt::format("append p99 over {} connections, against 1", options.many), "1 topic, 1 connection",
       "many connections");
  pair("append p99 while checkpoints run, against the same load without", "load, few checkpoints",
       "load, many checkpoints");
  if (report.median_of("load, few checkpoints, checkpoints") >= 1)
    report.remark("checkpoints ran where none should: the run is too long for the large ring");
  if (report.median_of("load, many checkpoints, checkpoints") < 1)
    report.remark("no checkpoint ran: --seconds is too short");
}

// A server with what is measured: `topics` small ones, and one with as much as is `stored`.
Result<Server> start_with(const Bench& bench, const ServerSetup& setup, std::uint32_t topics,
                          std::uint64_t stored) {
  TRY(Server server, Server::start(bench.settings, setup));
  TRY_VOID(make_filled_topic(server.address(), k_stored_topic, k_stored_record, stored));
  TRY_VOID(with_client(server.address(), [&](Client& client) -> Task<Result<void>> {
    for (std::uint32_t i = 0; i < topics; ++i)
      CO_TRY_VOID(co_await client.create_topic({.name = topic_name(i), .id = {}}));
    CO_TRY_VOID(co_await client.create_topic(
        {.name = k_background_topic, .partitions = JournalLoad{}.partitions, .id = {}}));
    co_return Result<void>{};
  }));
  TRY_VOID(server.wait_for_rest());
  return server;
}

Result<void> measure(const Settings& settings, const Options& options, Report& report) {
  TRY_VOID(stay_on(settings.client_cpu));
  TRY(const ScratchFolder scratch, ScratchFolder::make(settings.folder));
  Bench bench{settings, options, report};
  const auto start = [&](const char* folder, const char* ring_file, std::uint32_t topics,
                         std::uint64_t stored) {
    return start_with(bench,
                      {.data = scratch.path(folder),
                       .flags = {"--shards", "1", "--journal-file-bytes", ring_file},
                       .cpu = settings.server_cpu},
                      topics, stored);
  };
  // All at once, so that each pair can be measured in turn; those that are not asked are idle.
  TRY(Server little, start("little", k_ring_default, options.many, stored_little(options)));
  TRY(Server much, start("much", k_ring_default, 1, options.stored));
  TRY(Server ring_small, start("ring-small", k_ring_small, 1, 0));
  TRY(Server ring_large, start("ring-large", k_ring_large, 1, 0));
  Servers servers{std::move(little), std::move(much), std::move(ring_small), std::move(ring_large)};
  for (std::uint32_t i = 0; i < settings.rounds; ++i) TRY_VOID(round(bench, servers, i % 2 == 1));
  add_targets(options, report);
  for (Server* server :
       {&servers.stored_little, &servers.stored_much, &servers.ring_small, &servers.ring_large})
    TRY_VOID(server->stop());
  return {};
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;
  Options options;
  const Program program{
      .name = "steady",
      .what = "Appends with many topics, much stored, many connections, and while checkpoints run",
      .example = "--folder /var/tmp --rounds 20 --seconds 0.5 --stored 20GiB --json steady.json",
      .flags = {{.name = "--many",
                 .value = &options.many,
                 .what = "Topics, and connections, where there are many",
                 .least = 2,
                 .most = 4000},
                {.name = "--stored", .value = &options.stored, .what = "What is stored where there is much"},
                {.name = "--rate",
                 .value = &options.per_second,
                 .what = "Appends a second",
                 .least = 1,
                 .most = 1e6}}};
  return run_program(program, argc, argv, [&](const Settings& settings, Report& report) {
    return measure(settings, options, report);
  });
}
