// Many records, batched by the client library: one topic, one shard, durable, client and server on a
// processor each; against fio's synced sequential writes of 256 KiB.
#include <fmt/format.h>

#include "bench/support/files.h"
#include "bench/support/fio.h"
#include "bench/support/produce.h"
#include "bench/support/server.h"

namespace millrace::bench {
namespace {

constexpr double k_records_target = 8'000'000;
constexpr double k_bytes_target = 0.75;
constexpr std::uint64_t k_file_size = 1_GiB;
constexpr double k_warm_up_seconds = 0.5;
constexpr const char* k_topic = "throughput";

Result<Rate> produce_to(const Address& server, const Load& load) {
  Rate rate;
  TRY_VOID(with_client(server, [&](Client& client) -> Task<Result<void>> {
    CO_TRY(rate, co_await produce(client, load));
    co_return Result<void>{};
  }));
  return rate;
}

Result<void> measure_records(const Settings& settings, const Server& server, const ProducerOptions& producer,
                             std::uint32_t record_size, const std::string& what, Report& report) {
  const double server_before = server.cpu_seconds();
  TRY(const Rate rate, produce_to(server.address(), {k_topic, record_size, producer, settings.seconds}));
  const double server_seconds = server.cpu_seconds() - server_before;
  report.add(what, "records/s", rate.records);
  report.add(what + ", payload", "MB/s", rate.payload_bytes / rate.seconds / 1e6);
  report.add(what + ", batch acknowledged, median", "us", rate.median_us);
  report.add(what + ", batch acknowledged, p99", "us", rate.p99_us);
  report.add(what + ", server's processor", "ms/GB", server_seconds * 1000 / (rate.payload_bytes / 1e9));
  return {};
}

Result<void> measure_fio(const Settings& settings, const std::string& file, FileState state,
                         const std::string& what, Report& report) {
  TRY(const FioResult fio, run_fio_on_new_file({.file = file,
                                                .file_size = k_file_size,
                                                .block_size = 256_KiB,
                                                .seconds = settings.seconds,
                                                .cpu = settings.server_cpu},
                                               state));
  report.add(what, "MB/s", 256 * 1024 / fio.mean_us);
  return {};
}

void add_targets(Report& report) {
  report.target("100-byte records, batched, durable", "records/s", report.median_of("100 B records"),
                Bound::at_least, k_records_target);
  const auto ratio = [&](const char* reference) {
    return report.median_of(
        [=](const Report::Round& round) { return round.at("1 KiB records, payload") / round.at(reference); });
  };
  report.target("1 KiB records, batched, durable", "x fio's rate into a file that was written before",
                ratio("fio, 256 KiB, written file"), Bound::at_least, k_bytes_target);
  report.remark(fmt::format("1 KiB records: {:.2f} x fio's rate into an allocated file, as segments are",
                            ratio("fio, 256 KiB, allocated file")));
}

Result<void> measure(const Settings& settings, const ProducerOptions& producer, Report& report) {
  TRY_VOID(stay_on(settings.client_cpu));
  TRY(const ScratchFolder scratch, ScratchFolder::make(settings.folder));
  TRY(Server server, Server::start(settings, scratch.path("data")));
  TRY_VOID(server.wait_for_rest());
  TRY_VOID(with_client(server.address(), [&](Client& client) -> Task<Result<void>> {
    CO_TRY_VOID(
        co_await client.create_topic({.name = k_topic, .retention_bytes = k_topic_retention, .id = {}}));
    CO_TRY_VOID(co_await produce(client, {k_topic, 1024, producer, k_warm_up_seconds}));
    co_return Result<void>{};
  }));
  for (std::uint32_t i = 0; i < settings.rounds; ++i) {
    report.begin_round();
    TRY_VOID(measure_fio(settings, scratch.path("fio"), FileState::allocated, "fio, 256 KiB, allocated file",
                         report));
    TRY_VOID(measure_records(settings, server, producer, 100, "100 B records", report));
    TRY_VOID(
        measure_fio(settings, scratch.path("fio"), FileState::written, "fio, 256 KiB, written file", report));
    TRY_VOID(measure_records(settings, server, producer, 1024, "1 KiB records", report));
    report.end_round();
  }
  add_targets(report);
  return server.stop();
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;
  millrace::ProducerOptions producer;
  const Program program{
      .name = "batched_throughput",
      .what = "Records of 100 bytes and of 1 KiB, batched by the client library, durable",
      .example = "--folder /var/tmp --rounds 5 --json throughput.json",
      .flags = {
          {.name = "--batch-bytes", .value = &producer.batch_bytes, .what = "Size of a full batch"},
          {.name = "--batches-in-flight",
           .value = &producer.batches_in_flight_max,
           .what = "Batches that wait for their answer at most; with more than 5, they are not idempotent"},
          {.name = "--buffered-bytes",
           .value = &producer.buffered_bytes_max,
           .what = "Batches gathered or under way, at most"}}};
  return run_program(program, argc, argv, [&](const Settings& settings, Report& report) {
    producer.idempotent = producer.batches_in_flight_max <= millrace::k_producer_batches_kept;
    return measure(settings, producer, report);
  });
}
