// Many small producers: each with a topic of its own, against all of them on one topic. Every producer sends
// one record of 100 bytes, durable, waits for its acknowledgement and sends the next. Measured through the
// server, and in the engine alone, where clients do not hide what the groups cost.
#include <fmt/format.h>

#include "bench/support/batches.h"
#include "bench/support/engine.h"
#include "bench/support/files.h"
#include "bench/support/samples.h"
#include "bench/support/server.h"
#include "engine/reactor/wait.h"

namespace millrace::bench {
namespace {

constexpr std::uint32_t k_value_size = 100;
constexpr double k_target = 0.5;

struct Crowd {
  std::uint32_t producers = 1000;
  std::uint32_t connections = 8;
};

struct Tally {
  Clock::time_point end;
  std::uint64_t acknowledged = 0;
  std::optional<Error> failure;
};

std::string topic_name(std::uint32_t number) {
  return fmt::format("small-{}", number);
}

// ---- through the server

Task<void> ask(Client& client, std::uint32_t topic, Slice batch, Tally& tally) {
  const PartitionName to{topic_name(topic), 0};
  while (Clock::now() < tally.end && !tally.failure) {
    auto produced = co_await client.produce_batch(to, batch);
    if (!produced) {
      tally.failure = std::move(produced).error();
      co_return;
    }
    ++tally.acknowledged;
  }
}

Result<double> asked(const Settings& settings, const Address& server, const Crowd& crowd,
                     std::uint32_t topics) {
  Tally tally;
  double elapsed = 0;
  ShardsOptions options;
  TRY(const Result<void> done, run_uring(options, [&](UringReactor& reactor) -> Task<Result<void>> {
        CO_TRY(const Clients clients, co_await connect_clients(reactor, server, crowd.connections));
        CO_TRY(const Slice batch, batch_of_one(reactor.buffers(), k_value_size));
        Gate producers(reactor);
        const auto begin = Clock::now();
        tally.end = after_seconds(settings.seconds);
        for (std::uint32_t i = 0; i < crowd.producers; ++i)
          producers.spawn(ask(*clients[i % crowd.connections], i % topics, batch, tally));
        co_await producers.wait();
        elapsed = seconds_since(begin);
        co_return Result<void>{};
      }));
  TRY_VOID(done);
  if (tally.failure) return fail(*std::move(tally.failure));
  return static_cast<double>(tally.acknowledged) / elapsed;
}

Result<void> create_topics(const Address& server, std::uint32_t count) {
  return with_client(server, [&](Client& client) -> Task<Result<void>> {
    for (std::uint32_t i = 0; i < count; ++i)
      CO_TRY_VOID(co_await client.create_topic(
          {.name = topic_name(i), .retention_bytes = k_topic_retention, .id = {}}));
    co_return Result<void>{};
  });
}

Result<void> round_through_server(const Settings& settings, const Address& server, Crowd crowd,
                                  Report& report) {
  for (const std::uint32_t connections : {crowd.connections, crowd.producers}) {
    crowd.connections = connections;
    const std::string what = fmt::format("server, {} connections", connections);
    TRY(const double one, asked(settings, server, crowd, 1));
    report.add(what + ", one topic", "acks/s", one);
    TRY(const double many, asked(settings, server, crowd, crowd.producers));
    report.add(what + ", a topic each", "acks/s", many);
  }
  return {};
}

// ---- the engine alone

Task<void> append(ShardLog& log, GroupId group, Slice batch, Tally& tally) {
  while (Clock::now() < tally.end && !tally.failure) {
    auto appended = co_await log.append(group, batch, 1, AckLevel::durable);
    if (!appended) {
      tally.failure = std::move(appended).error();
      co_return;
    }
    ++tally.acknowledged;
  }
}

Task<Result<double>> appended(const Settings& settings, Reactor& reactor, ShardLog& log,
                              std::uint32_t producers, std::uint32_t groups) {
  CO_TRY(const Slice batch, batch_of_one(reactor.buffers(), k_value_size));
  Tally tally;
  Gate gate(reactor);
  const auto begin = Clock::now();
  tally.end = after_seconds(settings.seconds);
  for (std::uint32_t i = 0; i < producers; ++i)
    gate.spawn(append(log, GroupId{1 + i % groups}, batch, tally));
  co_await gate.wait();
  if (tally.failure) co_return fail(*std::move(tally.failure));
  co_return static_cast<double>(tally.acknowledged) / seconds_since(begin);
}

Result<void> round_in_engine(const Settings& settings, const std::string& folder, const Crowd& crowd,
                             Report& report) {
  return with_engine(folder, [&](Reactor& reactor, ShardLog& log) -> Task<Result<void>> {
    for (std::uint32_t i = 1; i <= crowd.producers; ++i) {
      if (!log.contains(GroupId{i})) CO_TRY_VOID(co_await log.create(GroupId{i}, {}));
    }
    CO_TRY(const double one, co_await appended(settings, reactor, log, crowd.producers, 1));
    report.add("engine, one group", "acks/s", one);
    CO_TRY(const double many, co_await appended(settings, reactor, log, crowd.producers, crowd.producers));
    report.add("engine, a group each", "acks/s", many);
    co_return Result<void>{};
  });
}

void add_targets(const Crowd& crowd, Report& report) {
  const auto ratio = [&](const std::string& many, const std::string& one) {
    return report.median_of([&](const Report::Round& round) { return round.at(many) / round.at(one); });
  };
  for (const std::uint32_t connections : {crowd.connections, crowd.producers}) {
    const std::string what = fmt::format("server, {} connections", connections);
    report.target(what, "x the acknowledgements/s of one topic",
                  ratio(what + ", a topic each", what + ", one topic"), Bound::at_least, k_target);
  }
  report.target("engine alone", "x the acknowledgements/s of one group",
                ratio("engine, a group each", "engine, one group"), Bound::at_least, k_target);
}

Result<void> measure(const Settings& settings, const Crowd& crowd, Report& report) {
  TRY(const ScratchFolder scratch, ScratchFolder::make(settings.folder));
  TRY(Server server, Server::start(settings, scratch.path("data")));
  TRY_VOID(server.wait_for_rest());
  TRY_VOID(stay_on(settings.client_cpu));
  TRY_VOID(create_topics(server.address(), crowd.producers));
  for (std::uint32_t i = 0; i < settings.rounds; ++i) {
    report.begin_round();
    TRY_VOID(stay_on(settings.client_cpu));
    TRY_VOID(round_through_server(settings, server.address(), crowd, report));
    TRY_VOID(stay_on(settings.server_cpu));
    TRY_VOID(round_in_engine(settings, scratch.path("engine"), crowd, report));
    report.end_round();
  }
  add_targets(crowd, report);
  return server.stop();
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;
  Crowd crowd;
  const Program program{.name = "many_topics",
                        .what = "Many small producers with a topic each, against all of them on one topic",
                        .example = "--folder /var/tmp --rounds 5 --json topics.json",
                        .flags = {{.name = "--producers",
                                   .value = &crowd.producers,
                                   .what = "Producers, and topics",
                                   .least = 1,
                                   .most = 100'000},
                                  {.name = "--connections",
                                   .value = &crowd.connections,
                                   .what = "Connections that they share, before they get one each",
                                   .least = 1,
                                   .most = 100'000}}};
  return run_program(program, argc, argv, [&](const Settings& settings, Report& report) {
    return measure(settings, crowd, report);
  });
}
