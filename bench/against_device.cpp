// The log engine against fio, on the same folder, in turn: durable appends one at a time.
//
// Small appends go through the journal, whose blocks were written before; so fio writes to such a file. Large
// ones go straight to a segment, whose blocks are only allocated; fio does both. A commit brings 144 bytes of
// headers (commit, journal record, entry) along: a batch of 4,096 bytes takes two blocks, one of 3,952 bytes
// is the largest that takes one.
#include <fmt/format.h>

#include "bench/support/batches.h"
#include "bench/support/engine.h"
#include "bench/support/files.h"
#include "bench/support/fio.h"
#include "bench/support/samples.h"
#include "bench/support/settings.h"
#include "engine/base/entry_header.h"
#include "engine/log/journal_format.h"

namespace millrace::bench {
namespace {

constexpr GroupId k_group{1};
// The largest batch whose commit takes one block.
constexpr std::uint32_t k_one_block =
    k_block_size - k_commit_header_size - k_journal_record_header_size - k_batch_offset_in_entry;
static_assert(k_one_block == 3952);
constexpr std::uint32_t k_large = 1u << 20;
constexpr std::uint64_t k_small_file = 256_MiB;  // what a ring of journal files takes
constexpr std::uint64_t k_large_file = 1_GiB;
// Until the journal's files are filled and the background has come to rest.
constexpr double k_warm_up_seconds = 1;
constexpr std::chrono::milliseconds k_settle(500);

struct Bench {
  const Settings& settings;
  Report& report;
  const ScratchFolder& scratch;
  Reactor& reactor;
  ShardLog& log;
};

// One after the other for a while; the time between an answer and the next call does not count.
Task<Result<Samples>> append_for(Bench& bench, std::uint32_t size, double seconds) {
  Samples samples;
  CO_TRY(Slice batch, batch_of_size(bench.reactor.buffers(), size, 0));
  for (const auto end = after_seconds(seconds); Clock::now() < end;) {
    // A large batch is written from where it is and then kept for readers: each needs memory of its own.
    if (size >= k_direct_size_min) {
      batch = {};
      CO_TRY(batch, batch_of_size(bench.reactor.buffers(), size, k_batch_offset_in_entry));
    }
    const auto begin = Clock::now();
    CO_TRY_VOID(co_await bench.log.append(k_group, batch, 1, AckLevel::durable));
    samples.record(Clock::now() - begin);
  }
  co_return samples;
}

Result<FioResult> fio(const Bench& bench, FileState state, std::uint64_t block_size) {
  const bool large = block_size >= k_large;
  const std::string file = bench.scratch.path(large ? "fio-large" : "fio-small");
  const std::uint64_t size = large ? k_large_file : k_small_file;
  return run_fio_on_new_file({.file = file,
                              .file_size = size,
                              .block_size = block_size,
                              .seconds = bench.settings.seconds,
                              .cpu = bench.settings.server_cpu},
                             state);
}

Task<Result<void>> small_appends(Bench& bench, std::uint32_t size, const std::string& what) {
  (void)co_await bench.reactor.sleep(k_settle);
  CO_TRY(Samples samples, co_await append_for(bench, size, bench.settings.seconds));
  add_percentiles(bench.report, what, percentiles_of(std::move(samples)));
  co_return Result<void>{};
}

double rate_of(double mean_us) {
  return k_large / mean_us;  // bytes a microsecond are MB/s
}

Task<Result<void>> large_appends(Bench& bench) {
  (void)co_await bench.reactor.sleep(k_settle);
  const LogCounters before = bench.log.counters();
  CO_TRY(Samples samples,
         co_await append_for(bench, k_large - k_batch_offset_in_entry, bench.settings.seconds));
  bench.report.add("engine, 1 MiB", "MB/s", rate_of(samples.mean_us()));
  bench.report.add("engine, 1 MiB, median", "us", samples.percentile_us(50));
  const LogCounters& after = bench.log.counters();
  if (after.direct_bytes_copied != before.direct_bytes_copied ||
      after.direct_extents - before.direct_extents < samples.count())
    bench.report.remark("1 MiB appends did not all take the way without a copy");
  co_return Result<void>{};
}

Task<Result<void>> round(Bench& bench) {
  bench.report.begin_round();
  CO_TRY(const FioResult fio_4k, fio(bench, FileState::written, 4_KiB));
  add_percentiles(bench.report, "fio, 4 KiB", fio_4k.latency);
  CO_TRY_VOID(co_await small_appends(bench, 4096, "engine, batch of 4,096 B"));
  CO_TRY(const FioResult fio_8k, fio(bench, FileState::written, 8_KiB));
  add_percentiles(bench.report, "fio, 8 KiB", fio_8k.latency);
  CO_TRY_VOID(co_await small_appends(bench, k_one_block, "engine, batch of 3,952 B"));

  CO_TRY(const FioResult allocated, fio(bench, FileState::allocated, k_large));
  bench.report.add("fio, 1 MiB, allocated file", "MB/s", rate_of(allocated.mean_us));
  CO_TRY_VOID(co_await large_appends(bench));
  CO_TRY(const FioResult written, fio(bench, FileState::written, k_large));
  bench.report.add("fio, 1 MiB, written file", "MB/s", rate_of(written.mean_us));
  bench.report.end_round();
  co_return Result<void>{};
}

void add_targets(Report& report) {
  const auto ratio = [&](const char* ours, const char* reference) {
    return report.median_of([=](const Report::Round& round) { return round.at(ours) / round.at(reference); });
  };
  report.target("durable append of a 4 KiB batch, median", "x fio's 4 KiB",
                ratio("engine, batch of 4,096 B, median", "fio, 4 KiB, median"), Bound::at_most, 1.15);
  report.target("1 MiB appends", "x fio's rate into an allocated file",
                ratio("engine, 1 MiB", "fio, 1 MiB, allocated file"), Bound::at_least, 0.85);
  report.remark(fmt::format(
      "block for block: batch in one block {:.2f} x fio's 4 KiB, batch in two blocks {:.2f} x fio's 8 KiB",
      ratio("engine, batch of 3,952 B, median", "fio, 4 KiB, median"),
      ratio("engine, batch of 4,096 B, median", "fio, 8 KiB, median")));
  report.remark(fmt::format("1 MiB appends: {:.2f} x fio's rate into a file that was written before",
                            ratio("engine, 1 MiB", "fio, 1 MiB, written file")));
}

Task<Result<void>> all_rounds(Bench& bench) {
  CO_TRY_VOID(co_await bench.log.create(k_group, {.retention_bytes = 4_GiB}));
  CO_TRY_VOID(co_await append_for(bench, k_one_block, k_warm_up_seconds));
  for (std::uint32_t i = 0; i < bench.settings.rounds; ++i) CO_TRY_VOID(co_await round(bench));
  co_return Result<void>{};
}

Result<void> measure(const Settings& settings, Report& report) {
  TRY_VOID(stay_on(settings.server_cpu));
  TRY(const ScratchFolder scratch, ScratchFolder::make(settings.folder));
  TRY_VOID(with_engine(scratch.path("data"), [&](Reactor& reactor, ShardLog& log) -> Task<Result<void>> {
    Bench bench{settings, report, scratch, reactor, log};
    co_return co_await all_rounds(bench);
  }));
  add_targets(report);
  return {};
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  return millrace::bench::run_program(
      {.name = "against_device",
       .what = "The log engine against fio: durable appends of 4 KiB and of 1 MiB, one at a time",
       .example = "--folder /var/tmp --rounds 5 --json device.json"},
      argc, argv, millrace::bench::measure);
}
