// Records read back by the client library's Consumer, client and server on a processor each: records of 100
// bytes that the server still has in memory, and records of 1 KiB that it must read from the device, against
// fio's sequential direct reads of 1 MiB.
#include <algorithm>
#include <fmt/format.h>

#include "bench/support/files.h"
#include "bench/support/fio.h"
#include "bench/support/produce.h"
#include "bench/support/samples.h"
#include "bench/support/server.h"
#include "net/client/consumer.h"

namespace millrace::bench {
namespace {

constexpr std::uint32_t k_small_record = 100;
constexpr std::uint32_t k_record = 1024;
// Stays in memory, whose bound is 64 MiB by default.
constexpr std::uint64_t k_in_memory = 24_MiB;
constexpr double k_target_in_memory = 10'000'000;
constexpr double k_target_cold = 0.8;
constexpr const char* k_small_topic = "small";
constexpr const char* k_topic = "cold";

struct Tally {
  std::uint64_t records = 0, value_bytes = 0;
};

// From the beginning to where the partition ends now, or until `end`.
Task<Result<void>> consume(Client& client, const char* topic, Clock::time_point end, Tally& tally) {
  CO_TRY(const ListedOffset latest, co_await client.list_offset({topic, 0}, OffsetQuery::latest));
  Consumer consumer(client);
  consumer.follow({topic, 0}, Offset{0});
  for (std::int64_t next = 0; next < latest.offset.value() && Clock::now() < end;) {
    CO_TRY_VOID(co_await consumer.wait());
    while (const ConsumedRecord* record = consumer.next()) {
      ++tally.records;
      tally.value_bytes += record->record.value->size();
      next = record->record.offset.value() + 1;
    }
  }
  co_return Result<void>{};
}

struct Consumed {
  double records = 0, value_bytes = 0;  // a second
  double server_seconds = 0;            // of its processor, a second
  double from_elsewhere = 0;            // part of the bytes that was read the other way
};

// Again and again until the time is over; memory and device differ in what the server counts.
Result<Consumed> consume_for(const Settings& settings, const Server& server, const char* topic,
                             const char* expected, const char* other) {
  Consumed consumed;
  TRY_VOID(with_client(server.address(), [&](Client& client) -> Task<Result<void>> {
    CO_TRY(Counters before, co_await counters_of(client));
    const double server_before = server.cpu_seconds();
    Tally tally;
    const auto begin = Clock::now();
    for (const auto end = after_seconds(settings.seconds); Clock::now() < end;)
      CO_TRY_VOID(co_await consume(client, topic, end, tally));
    const double elapsed = seconds_since(begin);
    consumed.server_seconds = (server.cpu_seconds() - server_before) / elapsed;
    consumed.records = static_cast<double>(tally.records) / elapsed;
    consumed.value_bytes = static_cast<double>(tally.value_bytes) / elapsed;
    CO_TRY(Counters after, co_await counters_of(client));
    const auto grown = [&](const char* name) { return static_cast<double>(after[name] - before[name]); };
    consumed.from_elsewhere = grown(other) / std::max(grown(expected) + grown(other), 1.0);
    co_return Result<void>{};
  }));
  return consumed;
}

Result<void> measure_in_memory(const Settings& settings, const Server& server, Report& report) {
  TRY(const Consumed consumed,
      consume_for(settings, server, k_small_topic, "log_read_bytes_memory", "log_read_bytes_cold"));
  report.add("100 B records from memory", "records/s", consumed.records);
  report.add("100 B records from memory, payload", "MB/s", consumed.value_bytes / 1e6);
  report.add("100 B records from memory, server's processor", "%", consumed.server_seconds * 100);
  report.add("100 B records from memory, read from the device", "%", consumed.from_elsewhere * 100);
  return {};
}

Result<void> measure_cold(const Settings& settings, const Server& server, Report& report) {
  TRY(const Consumed consumed,
      consume_for(settings, server, k_topic, "log_read_bytes_cold", "log_read_bytes_memory"));
  report.add("1 KiB records, cold", "records/s", consumed.records);
  report.add("1 KiB records, cold, payload", "MB/s", consumed.value_bytes / 1e6);
  report.add("1 KiB records, cold, server's processor", "%", consumed.server_seconds * 100);
  report.add("1 KiB records, cold, read from memory", "%", consumed.from_elsewhere * 100);
  return {};
}

Result<void> round(const Settings& settings, const Server& server, const FioJob& fio, Report& report) {
  report.begin_round();
  TRY(const FioResult read, run_fio(fio));
  report.add("fio, sequential reads of 1 MiB", "MB/s", static_cast<double>(fio.block_size) / read.mean_us);
  TRY_VOID(measure_cold(settings, server, report));
  TRY_VOID(measure_in_memory(settings, server, report));
  report.end_round();
  return {};
}

void add_targets(Report& report) {
  report.target("100 B records from memory", "records/s", report.median_of("100 B records from memory"),
                Bound::at_least, k_target_in_memory);
  report.target("1 KiB records, cold", "x fio's rate", report.median_of([](const Report::Round& round) {
    return round.at("1 KiB records, cold, payload") / round.at("fio, sequential reads of 1 MiB");
  }),
                Bound::at_least, k_target_cold);
}

Result<void> measure(const Settings& settings, std::uint64_t stored, Report& report) {
  TRY_VOID(stay_on(settings.client_cpu));
  TRY(const ScratchFolder scratch, ScratchFolder::make(settings.folder));
  // What fio reads was written by it, as blocks of zeros may be read faster than others.
  FioJob fio{
      .file = scratch.path("fio"), .file_size = stored, .block_size = 1_MiB, .cpu = settings.server_cpu};
  TRY_VOID(run_fio_on_new_file(fio, FileState::allocated));
  fio.access = FioAccess::read;
  fio.seconds = settings.seconds;
  {
    TRY(Server server, Server::start(settings, scratch.path("data")));
    TRY_VOID(make_filled_topic(server.address(), k_topic, k_record, stored));
    TRY_VOID(server.stop());
  }
  // A start has nothing in memory.
  TRY(Server server, Server::start(settings, scratch.path("data")));
  TRY_VOID(make_filled_topic(server.address(), k_small_topic, k_small_record, k_in_memory));
  TRY_VOID(server.wait_for_rest());
  for (std::uint32_t i = 0; i < settings.rounds; ++i) TRY_VOID(round(settings, server, fio, report));
  add_targets(report);
  return server.stop();
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;
  std::uint64_t stored = millrace::operator""_GiB(2);
  const Program program{
      .name = "consume",
      .what = "Records read back: from the server's memory, and from its device against fio's reads",
      .example = "--folder /var/tmp --rounds 5 --stored 4GiB --json consume.json",
      .flags = {
          {.name = "--stored", .value = &stored, .what = "Records of 1 KiB to read back from the device"}}};
  return run_program(program, argc, argv, [&](const Settings& settings, Report& report) {
    return measure(settings, stored, report);
  });
}
