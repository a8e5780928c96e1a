// What the vocabulary costs: checksums, batches, records, histograms, frames.
#include <benchmark/benchmark.h>
#include <string>
#include <vector>

#include "engine/base/batch_builder.h"
#include "engine/base/checksum.h"
#include "engine/base/compression.h"
#include "engine/base/histogram.h"
#include "engine/base/record_batch.h"
#include "engine/base/record_reader.h"
#include "engine/wire/frame.h"

namespace millrace {
namespace {

std::int64_t times(const benchmark::State& state, std::size_t each) {
  return state.iterations() * static_cast<std::int64_t>(each);
}

void xxh3_of(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)), std::byte{'x'});
  for (auto _ : state) benchmark::DoNotOptimize(xxh3(bytes));
  state.SetBytesProcessed(times(state, bytes.size()));
}
BENCHMARK(xxh3_of)->Arg(56)->Arg(4 << 10)->Arg(256 << 10);

void crc32c_of(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)), std::byte{'x'});
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(bytes));
  state.SetBytesProcessed(times(state, bytes.size()));
}
BENCHMARK(crc32c_of)->Arg(64)->Arg(4 << 10)->Arg(256 << 10);

void histogram_record(benchmark::State& state) {
  Histogram histogram;
  std::int64_t ns = 1;
  for (auto _ : state) {
    ns = ns * 5 % 1'000'003;
    histogram.record(Duration(ns));
  }
  benchmark::DoNotOptimize(histogram);
}
BENCHMARK(histogram_record);

// Fills a batch of the client library's size with records of this many bytes.
Slice fill_batch(RecordBatchBuilder& builder, const std::vector<std::byte>& value) {
  const RecordView record{
      .offset = {}, .timestamp = 1'700'000'000'000, .key = {}, .value = value, .headers = {}};
  while (builder.append(record) == BatchAppend::appended) {
  }
  return builder.finish().value();
}

constexpr RecordBatchBuilder::Options k_batch{.size_max = k_batch_size_target,
                                              .size_expected = k_batch_size_target};

void batch_build(benchmark::State& state) {
  BufferPool pool({.bytes_max = 16_MiB, .idle_bytes_max = 16_MiB});
  RecordBatchBuilder builder(pool, k_batch);
  const std::vector<std::byte> value(static_cast<std::size_t>(state.range(0)), std::byte{'v'});
  const std::uint32_t records =
      decode_batch_header(fill_batch(builder, value).bytes().first<k_batch_header_size>()).offset_count();
  for (auto _ : state) benchmark::DoNotOptimize(fill_batch(builder, value));
  state.SetItemsProcessed(times(state, records));
}
BENCHMARK(batch_build)->Arg(100)->Arg(1024);

void batch_check(benchmark::State& state) {
  BufferPool pool({.bytes_max = 16_MiB, .idle_bytes_max = 16_MiB});
  RecordBatchBuilder builder(pool, k_batch);
  const Slice batch =
      fill_batch(builder, std::vector<std::byte>(static_cast<std::size_t>(state.range(0)), std::byte{'v'}));
  std::uint32_t records = 0;
  for (auto _ : state) {
    const auto header = check_batch(batch.bytes());
    if (!header) return state.SkipWithError("the batch is refused");
    records = header->offset_count();
  }
  state.SetItemsProcessed(times(state, records));
  state.SetBytesProcessed(times(state, batch.length));
}
BENCHMARK(batch_check)->Arg(100)->Arg(1024);

void batch_read(benchmark::State& state) {
  BufferPool pool({.bytes_max = 16_MiB, .idle_bytes_max = 16_MiB});
  RecordBatchBuilder builder(pool, k_batch);
  const Slice batch =
      fill_batch(builder, std::vector<std::byte>(static_cast<std::size_t>(state.range(0)), std::byte{'v'}));
  const BatchHeader header = check_batch(batch.bytes()).value();
  for (auto _ : state) {
    RecordReader reader(header, batch.bytes().subspan(k_batch_header_size));
    RecordView record;
    while (reader.next(record).value()) benchmark::DoNotOptimize(record);
  }
  state.SetItemsProcessed(times(state, header.offset_count()));
}
BENCHMARK(batch_read)->Arg(100)->Arg(1024);

// Records that look like a log's lines, in a batch of this many bytes, compressed and inflated again and
// again.
std::vector<std::byte> log_lines(std::size_t size) {
  std::string text;
  for (std::uint64_t i = 1; text.size() < size; ++i) {
    text += "2026-01-01T00:00:00.000Z INFO request " + std::to_string(i * 2'654'435'761 % 1'000'003) +
            " took " + std::to_string(i * 40'503 % 977) + " us\n";
  }
  text.resize(size);
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

void batch_compress(benchmark::State& state) {
  const auto codec = static_cast<Codec>(state.range(0));
  const std::vector<std::byte> in = log_lines(static_cast<std::size_t>(state.range(1)));
  std::vector<std::byte> out(compressed_size_max(codec, in.size()).value());
  Compressor compressor;
  for (auto _ : state) benchmark::DoNotOptimize(compressor.compress(codec, in, out).value());
  state.SetBytesProcessed(times(state, in.size()));
}
BENCHMARK(batch_compress)
    ->ArgsProduct({{static_cast<int>(Codec::lz4), static_cast<int>(Codec::zstd)},
                   {4 << 10, 64 << 10, 512 << 10}});

void batch_inflate(benchmark::State& state) {
  const auto codec = static_cast<Codec>(state.range(0));
  const std::vector<std::byte> in = log_lines(static_cast<std::size_t>(state.range(1)));
  std::vector<std::byte> packed(compressed_size_max(codec, in.size()).value());
  packed.resize(Compressor().compress(codec, in, packed).value());
  Inflater inflater;
  std::vector<std::byte> storage;
  for (auto _ : state) benchmark::DoNotOptimize(inflater.inflate(codec, packed, storage).value());
  state.SetBytesProcessed(times(state, in.size()));
}
BENCHMARK(batch_inflate)
    ->ArgsProduct({{static_cast<int>(Codec::lz4), static_cast<int>(Codec::zstd)},
                   {4 << 10, 64 << 10, 512 << 10}});

void buffer_acquire(benchmark::State& state) {
  BufferPool pool({.bytes_max = 16_MiB, .idle_bytes_max = 16_MiB});
  for (auto _ : state) benchmark::DoNotOptimize(pool.acquire(static_cast<std::uint64_t>(state.range(0))));
}
BENCHMARK(buffer_acquire)->Arg(4 << 10)->Arg(256 << 10);

// A small request's frame, written and read.
void frame_codec(benchmark::State& state) {
  const std::vector<std::byte> table(64, std::byte{'t'});
  std::vector<std::byte> preamble(k_preamble_size);
  for (auto _ : state) {
    encode_preamble(
        {.type = number(FrameType::produce), .correlation = 7, .table_length = 64, .payload_length = 1100},
        table, preamble);
    benchmark::DoNotOptimize(decode_preamble(preamble, k_frame_size_max));
    benchmark::DoNotOptimize(check_frame(preamble, table));
  }
}
BENCHMARK(frame_codec);

}  // namespace
}  // namespace millrace
