// How long a start takes, from executing `millrace serve` to its first line, which says that clients can
// connect: after a clean stop, and after kill -9 with a full journal, against the time that fio takes to read
// and to write as much as the journal holds.
#include <fmt/format.h>

#include "bench/support/files.h"
#include "bench/support/fio.h"
#include "bench/support/journal_load.h"
#include "bench/support/produce.h"
#include "bench/support/samples.h"
#include "bench/support/server.h"
#include "engine/base/limits.h"
#include "engine/base/units.h"
#include "engine/reactor/wait.h"

namespace millrace::bench {
namespace {

constexpr std::uint32_t k_record = 32u << 10;
constexpr std::uint64_t k_journal = k_journal_files * k_journal_file_size_default;
// A checkpoint begins when half of the ring is used, so this is about all that a start finds to replay.
constexpr std::uint64_t k_journal_full = k_journal / 2 - 12_MiB;
constexpr std::uint64_t k_block = 1_MiB;  // of fio
constexpr std::chrono::milliseconds k_look(5);
constexpr double k_target_clean_ms = 300;
constexpr double k_target_killed_ms = 1000;
constexpr const char* k_topic = "stored";
constexpr const char* k_journal_topic = "journal";

struct Options {
  std::uint64_t stored = 8_GiB;
  std::uint32_t partitions = 64;
};

// ---- a full journal

struct Filling {
  std::uint64_t checkpoints = 0, committed_then = 0;
  std::uint64_t committed = 0;
  bool stop = false;
  std::optional<Error> failure{};
  [[nodiscard]] std::uint64_t since_checkpoint() const { return committed - committed_then; }
};

// Looks how much of the journal is in use: what was committed since the last checkpoint.
Task<void> watch(Client& client, Filling& filling) {
  while (!filling.stop) {
    auto counters = co_await counters_of(client);
    if (!counters) {
      filling.failure = std::move(counters).error();
      break;
    }
    filling.committed = (*counters)["log_commit_bytes"];
    if (const std::uint64_t checkpoints = (*counters)["log_checkpoints"];
        checkpoints != filling.checkpoints) {
      filling.checkpoints = checkpoints;
      filling.committed_then = filling.committed;
    }
    filling.stop = filling.since_checkpoint() >= k_journal_full;
    (void)co_await client.reactor().sleep(k_look);
  }
  filling.stop = true;
}

// Returns how many bytes of commits a start will find.
Result<std::uint64_t> fill_journal(const Server& server, std::uint32_t partitions) {
  Filling filling;
  TRY_VOID(with_client(server.address(), [&](Client& client) -> Task<Result<void>> {
    Gate watching(client.reactor());
    watching.spawn(watch(client, filling));
    auto loaded = co_await load_journal(client, {.topic = k_journal_topic, .partitions = partitions},
                                        [&] { return filling.stop; });
    filling.stop = true;
    co_await watching.wait();
    co_return loaded;
  }));
  if (filling.failure) return fail(*std::move(filling.failure));
  return filling.since_checkpoint();
}

// ---- a round

// Reading and writing as much as the journal holds, once.
Result<double> device_ms(const Settings& settings, const std::string& file) {
  FioJob job{.file = file, .file_size = k_journal, .block_size = k_block, .cpu = settings.server_cpu};
  TRY(const FioResult written, run_fio_on_new_file(job, FileState::allocated));
  job.access = FioAccess::read;
  TRY(const FioResult read, run_fio(job));
  constexpr double k_blocks = static_cast<double>(k_journal) / k_block;
  return (written.mean_us + read.mean_us) * k_blocks / 1000;
}

Result<Server> timed_start(const Settings& settings, const std::string& data, const std::string& what,
                           Report& report) {
  const auto begin = Clock::now();
  TRY(Server server, Server::start(settings, data));
  report.add(what, "ms", seconds_since(begin) * 1000);
  return server;
}

Result<void> round(const Settings& settings, const Options& options, const ScratchFolder& scratch,
                   Report& report) {
  report.begin_round();
  TRY(const double device, device_ms(settings, scratch.path("fio")));
  report.add("fio, journal written and read once", "ms", device);
  TRY(Server server, timed_start(settings, scratch.path("data"), "start after a clean stop", report));
  TRY(const std::uint64_t replay, fill_journal(server, options.partitions));
  report.add("commits since the last checkpoint", "MiB", static_cast<double>(replay) / 1024 / 1024);
  server.kill();
  TRY(Server again, timed_start(settings, scratch.path("data"), "start after kill -9, full journal", report));
  report.end_round();
  return again.stop();
}

void add_targets(Report& report) {
  report.target("start after a clean stop", "ms", report.median_of("start after a clean stop"),
                Bound::at_most, k_target_clean_ms);
  report.target("start after kill -9, full journal", "ms above fio's time for the journal",
                report.median_of([](const Report::Round& round) {
                  return round.at("start after kill -9, full journal") -
                         round.at("fio, journal written and read once");
                }),
                Bound::at_most, k_target_killed_ms);
}

Result<void> measure(const Settings& settings, const Options& options, Report& report) {
  TRY_VOID(stay_on(settings.client_cpu));
  TRY(const ScratchFolder scratch, ScratchFolder::make(settings.folder));
  TRY(Server server, Server::start(settings, scratch.path("data")));
  TRY_VOID(make_filled_topic(server.address(), k_topic, k_record, options.stored));
  TRY_VOID(with_client(server.address(), [&](Client& client) -> Task<Result<void>> {
    CO_TRY_VOID(
        co_await client.create_topic({.name = k_journal_topic, .partitions = options.partitions, .id = {}}));
    co_return Result<void>{};
  }));
  TRY_VOID(server.stop());
  for (std::uint32_t i = 0; i < settings.rounds; ++i) TRY_VOID(round(settings, options, scratch, report));
  report.remark(fmt::format("{} stored, and {} partitions in the journal", format_size(options.stored),
                            options.partitions));
  add_targets(report);
  return {};
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;
  Options options;
  const Program program{
      .name = "restart",
      .what = "Time of a start: after a clean stop, and after kill -9 with a full journal",
      .example = "--folder /var/tmp --rounds 5 --stored 8GiB --json restart.json",
      .flags = {{.name = "--stored", .value = &options.stored, .what = "What is stored in segments"},
                {.name = "--partitions",
                 .value = &options.partitions,
                 .what = "Partitions whose entries the journal holds",
                 .least = 1,
                 .most = 1000}}};
  return run_program(program, argc, argv, [&](const Settings& settings, Report& report) {
    return measure(settings, options, report);
  });
}
