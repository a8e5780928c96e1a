// Payloads of 1 MiB, durable, from one client over loopback, several on their way: against the lower of what
// the device takes (fio, 1 MiB) and what the wire carries (a bare stream of 1 MiB messages). What the server
// copied on the way is read off its counters.
#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "bench/support/batches.h"
#include "bench/support/files.h"
#include "bench/support/fio.h"
#include "bench/support/loopback.h"
#include "bench/support/produce.h"
#include "bench/support/server.h"
#include "engine/base/entry_header.h"
#include "engine/reactor/wait.h"

namespace millrace::bench {
namespace {

constexpr std::uint32_t k_large = 1u << 20;
// With its header, an entry of exactly 1 MiB.
constexpr std::uint32_t k_batch_size = k_large - k_batch_offset_in_entry;
constexpr std::uint64_t k_fio_file = 1_GiB;
constexpr double k_warm_up_seconds = 0.5;
constexpr double k_target = 0.8;
constexpr const char* k_topic = "large";

struct Sending {
  Client& client;
  Slice batch;
  Clock::time_point end;
  std::uint64_t acknowledged = 0;
  std::optional<Error> failure{};
};

Task<void> send_one_after_the_other(Sending& sending) {
  while (Clock::now() < sending.end && !sending.failure) {
    auto produced = co_await sending.client.produce_batch({k_topic, 0}, sending.batch);
    if (!produced) {
      sending.failure = std::move(produced).error();
      co_return;
    }
    ++sending.acknowledged;
  }
}

// Ready batches: the server alone is measured, not what it costs a client to make and check-sum a batch.
Task<Result<Rate>> send_batches(Client& client, std::uint32_t in_flight, double seconds) {
  CO_TRY(Slice batch, batch_of_size(client.reactor().buffers(), k_batch_size, 0));
  Sending sending{client, std::move(batch), after_seconds(seconds)};
  Gate senders(client.reactor());
  const auto begin = Clock::now();
  for (std::uint32_t i = 0; i < in_flight; ++i) senders.spawn(send_one_after_the_other(sending));
  co_await senders.wait();
  if (sending.failure) co_return fail(*std::move(sending.failure));
  co_return Rate{.payload_bytes = static_cast<double>(sending.acknowledged) * k_batch_size,
                 .seconds = seconds_since(begin)};
}

Result<void> measure_sends(const Settings& settings, const Server& server, std::uint32_t in_flight,
                           Report& report) {
  return with_client(server.address(), [&](Client& client) -> Task<Result<void>> {
    CO_TRY(Counters before, co_await counters_of(client));
    const double server_before = server.cpu_seconds();
    CO_TRY(const Rate batches, co_await send_batches(client, in_flight, settings.seconds));
    const double server_seconds = server.cpu_seconds() - server_before;
    report.add("ready batches", "MB/s", batches.payload_bytes / batches.seconds / 1e6);
    report.add("ready batches, server's processor", "ms/GB",
               server_seconds * 1000 / (batches.payload_bytes / 1e9));
    CO_TRY(const Rate records, co_await produce(client, {.topic = k_topic,
                                                         .record_size = k_large,
                                                         .producer = {.batches_in_flight_max = in_flight},
                                                         .seconds = settings.seconds}));
    report.add("records of 1 MiB by Producer", "MB/s", records.payload_bytes / records.seconds / 1e6);
    CO_TRY(Counters after, co_await counters_of(client));
    report.add("copied by the server beyond the first 4 KiB of each", "bytes",
               static_cast<double>(after["payload_bytes_copied"] - before["payload_bytes_copied"] +
                                   after["log_direct_bytes_copied"] - before["log_direct_bytes_copied"]));
    co_return Result<void>{};
  });
}

Result<void> measure_fio(const Settings& settings, const std::string& file, FileState state,
                         const std::string& what, Report& report) {
  TRY(const FioResult fio, run_fio_on_new_file({.file = file,
                                                .file_size = k_fio_file,
                                                .block_size = k_large,
                                                .seconds = settings.seconds,
                                                .cpu = settings.server_cpu},
                                               state));
  report.add(what, "MB/s", k_large / fio.mean_us);
  return {};
}

Result<void> round(const Settings& settings, const Server& server, std::uint32_t in_flight,
                   const std::string& fio_file, Report& report) {
  report.begin_round();
  TRY_VOID(measure_fio(settings, fio_file, FileState::allocated, "fio, 1 MiB, allocated file", report));
  TRY_VOID(measure_sends(settings, server, in_flight, report));
  TRY(const double wire, run_stream({.message_size = k_large,
                                     .seconds = settings.seconds,
                                     .server_cpu = settings.server_cpu,
                                     .client_cpu = settings.client_cpu}));
  report.add("bare stream over loopback", "MB/s", wire / 1e6);
  TRY_VOID(measure_fio(settings, fio_file, FileState::written, "fio, 1 MiB, written file", report));
  report.end_round();
  return {};
}

void add_targets(Report& report) {
  const auto ratio = [&](const char* ours) {
    return report.median_of([=](const Report::Round& round) {
      return round.at(ours) /
             std::min(round.at("fio, 1 MiB, allocated file"), round.at("bare stream over loopback"));
    });
  };
  report.target("payloads of 1 MiB, durable", "x the lower of fio's rate and the wire's",
                ratio("ready batches"), Bound::at_least, k_target);
  report.target("copied by the server beyond the first 4 KiB of each", "bytes",
                report.median_of("copied by the server beyond the first 4 KiB of each"), Bound::at_most, 0);
  report.remark(fmt::format("records of 1 MiB by Producer: {:.2f} x the lower of fio's rate and the wire's",
                            ratio("records of 1 MiB by Producer")));
  report.remark(fmt::format("ready batches: {:.2f} x fio's rate into a file that was written before",
                            report.median_of([](const Report::Round& round) {
                              return round.at("ready batches") / round.at("fio, 1 MiB, written file");
                            })));
}

Result<void> measure(const Settings& settings, std::uint32_t in_flight, Report& report) {
  TRY_VOID(stay_on(settings.client_cpu));
  TRY(const ScratchFolder scratch, ScratchFolder::make(settings.folder));
  TRY(Server server, Server::start(settings, scratch.path("data")));
  TRY_VOID(server.wait_for_rest());
  TRY_VOID(with_client(server.address(), [&](Client& client) -> Task<Result<void>> {
    CO_TRY_VOID(
        co_await client.create_topic({.name = k_topic, .retention_bytes = k_topic_retention, .id = {}}));
    CO_TRY_VOID(co_await send_batches(client, in_flight, k_warm_up_seconds));
    co_return Result<void>{};
  }));
  for (std::uint32_t i = 0; i < settings.rounds; ++i)
    TRY_VOID(round(settings, server, in_flight, scratch.path("fio"), report));
  add_targets(report);
  return server.stop();
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;
  std::uint32_t in_flight = 5;
  const Program program{.name = "large_payloads",
                        .what = "Payloads of 1 MiB, durable, against fio and a bare stream over loopback",
                        .example = "--folder /var/tmp --rounds 5 --json large.json",
                        .flags = {{.name = "--in-flight",
                                   .value = &in_flight,
                                   .what = "Payloads on their way at a time",
                                   .least = 1,
                                   .most = 100}}};
  return run_program(program, argc, argv, [&](const Settings& settings, Report& report) {
    return measure(settings, in_flight, report);
  });
}
