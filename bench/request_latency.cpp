// One client, one record of 1 KiB at a time, durable, over loopback: against the sum of what the device takes
// (fio, 4 KiB) and what the wire takes (a bare ping-pong), measured in turn. A device that rests between
// writes answers later than one that is kept busy, so fio runs a second time with the ping-pong's time
// between its writes.
#include <vector>

#include "bench/support/batches.h"
#include "bench/support/files.h"
#include "bench/support/fio.h"
#include "bench/support/loopback.h"
#include "bench/support/produce.h"
#include "bench/support/server.h"
#include "engine/base/limits.h"
#include "net/client/producer.h"

namespace millrace::bench {
namespace {

constexpr std::uint32_t k_record_size = 1024;
// Preamble, table and batch of such a request; preamble and table of its answer.
constexpr std::uint32_t k_question_size = k_record_size + 256;
constexpr std::uint32_t k_answer_size = 128;
constexpr std::uint64_t k_file_size = 256_MiB;
constexpr double k_target_above_floor_us = 30;
constexpr double k_target_p999 = 3;
constexpr double k_warm_up_seconds = 0.5;
// Twice what a server keeps in memory for readers: memory that was never used costs a virtual machine
// milliseconds at its first touch, and a server takes it once.
constexpr std::uint64_t k_warm_up_bytes = 2 * k_cache_bytes_default;
constexpr std::uint32_t k_warm_up_record_size = 32u << 10;
constexpr const char* k_topic = "latency";

// As an application does it: a record goes in, its offset comes back.
Task<Result<Samples>> send_records(Client& client, double seconds) {
  Producer producer(client);
  CO_TRY(const ProducerTopic topic, co_await producer.open(k_topic));
  const std::vector<std::byte> value(k_record_size, std::byte{'v'});
  Samples samples;
  for (const auto end = after_seconds(seconds); Clock::now() < end;) {
    const auto begin = Clock::now();
    CO_TRY_VOID(co_await producer.send(topic, 0, {.offset = {}, .key = {}, .value = value, .headers = {}}));
    samples.record(Clock::now() - begin);
  }
  co_return samples;
}

// The same without the library's batching: one ready batch.
Task<Result<Samples>> send_batches(Client& client, double seconds) {
  CO_TRY(const Slice batch, batch_of_one(client.reactor().buffers(), k_record_size));
  Samples samples;
  for (const auto end = after_seconds(seconds); Clock::now() < end;) {
    const auto begin = Clock::now();
    CO_TRY_VOID(co_await client.produce_batch({k_topic, 0}, batch));
    samples.record(Clock::now() - begin);
  }
  co_return samples;
}

Result<void> measure_requests(const Address& server, double seconds, Report& report) {
  return with_client(server, [&](Client& client) -> Task<Result<void>> {
    CO_TRY(Samples records, co_await send_records(client, seconds));
    add_percentiles(report, "millrace, Producer::send", percentiles_of(std::move(records)));
    CO_TRY(Samples batches, co_await send_batches(client, seconds));
    add_percentiles(report, "millrace, ready batch", percentiles_of(std::move(batches)));
    co_return Result<void>{};
  });
}

Result<void> round(const Settings& settings, const Server& server, const std::string& fio_file,
                   Report& report) {
  report.begin_round();
  FioJob job{.file = fio_file,
             .file_size = k_file_size,
             .block_size = 4_KiB,
             .seconds = settings.seconds,
             .cpu = settings.server_cpu};
  TRY(const FioResult fio, run_fio(job));
  add_percentiles(report, "fio, 4 KiB", fio.latency);
  TRY(const Percentiles wire, run_ping_pong({.question_size = k_question_size,
                                             .answer_size = k_answer_size,
                                             .seconds = settings.seconds,
                                             .server_cpu = settings.server_cpu,
                                             .client_cpu = settings.client_cpu}));
  add_percentiles(report, "ping-pong", wire);
  job.pause_us = wire.median_us;
  TRY(const FioResult paused, run_fio(job));
  add_percentiles(report, "fio, 4 KiB, paused", paused.latency);
  TRY_VOID(measure_requests(server.address(), settings.seconds, report));
  report.end_round();
  return {};
}

void add_targets(Report& report) {
  const auto above_floor = [&](const std::string& what, const std::string& device) {
    return report.median_of([&](const Report::Round& round) {
      return round.at(what + ", median") - round.at(device + ", median") - round.at("ping-pong, median");
    });
  };
  report.target("one durable 1 KiB record at a time, median", "us above fio + ping-pong",
                above_floor("millrace, Producer::send", "fio, 4 KiB"), Bound::at_most,
                k_target_above_floor_us);
  report.remark(fmt::format(
      "against a device that rests between writes, as it does here: {:.1f} us above paused fio + ping-pong",
      above_floor("millrace, Producer::send", "fio, 4 KiB, paused")));
  report.remark(fmt::format("a ready batch, median: {:.1f} us above fio + ping-pong",
                            above_floor("millrace, ready batch", "fio, 4 KiB")));
  report.target("one durable 1 KiB record at a time, p99.9", "x the sum of fio's and the ping-pong's p99.9",
                report.median_of([](const Report::Round& round) {
                  return round.at("millrace, Producer::send, p99.9") /
                         (round.at("fio, 4 KiB, p99.9") + round.at("ping-pong, p99.9"));
                }),
                Bound::at_most, k_target_p999);
}

Result<void> measure(const Settings& settings, Report& report) {
  TRY_VOID(stay_on(settings.client_cpu));
  TRY(const ScratchFolder scratch, ScratchFolder::make(settings.folder));
  const std::string fio_file = scratch.path("fio");
  TRY_VOID(make_file(fio_file, k_file_size, FileState::written));
  TRY(Server server, Server::start(settings, scratch.path("data")));
  TRY_VOID(make_filled_topic(server.address(), "warm-up", k_warm_up_record_size, k_warm_up_bytes));
  TRY_VOID(server.wait_for_rest());
  TRY_VOID(with_client(server.address(), [&](Client& client) -> Task<Result<void>> {
    CO_TRY_VOID(
        co_await client.create_topic({.name = k_topic, .retention_bytes = k_topic_retention, .id = {}}));
    CO_TRY_VOID(co_await send_records(client, k_warm_up_seconds));
    co_return Result<void>{};
  }));
  for (std::uint32_t i = 0; i < settings.rounds; ++i) TRY_VOID(round(settings, server, fio_file, report));
  add_targets(report);
  return server.stop();
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  return millrace::bench::run_program(
      {.name = "request_latency",
       .what = "One durable record of 1 KiB at a time, against fio and a bare ping-pong over loopback",
       .example = "--folder /var/tmp --rounds 5 --json latency.json"},
      argc, argv, millrace::bench::measure);
}
