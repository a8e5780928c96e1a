// What the log's formats cost: entries and journal commits.
#include <benchmark/benchmark.h>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/entry_header.h"
#include "engine/log/journal_format.h"

namespace millrace {
namespace {

void entry_header_encode(benchmark::State& state) {
  EntryHeader header{.payload_checksum = 1,
                     .prev_checksum = 2,
                     .index = Index{3},
                     .group = GroupId{4},
                     .offset_count = 1,
                     .base_offset = Offset{5},
                     .batch_length = 1024,
                     .term = Term{1}};
  std::vector<std::byte> bytes(k_entry_header_size);
  for (auto _ : state) {
    header.index = next(header.index);
    encode(header, std::span(bytes).first<k_entry_header_size>());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(entry_header_encode);

// A commit of so many entries of 1 KiB: records, body checksum and header, as the committer makes it.
void commit_encode(benchmark::State& state) {
  constexpr std::size_t k_payload = 1024;
  const auto entries = static_cast<std::size_t>(state.range(0));
  const std::vector<std::byte> header(k_entry_header_size, std::byte{1});
  const std::vector<std::byte> payload(k_payload, std::byte{2});
  const std::size_t record = k_journal_record_header_size + k_entry_header_size + k_payload;
  std::vector<std::byte> commit(k_commit_header_size + entries * record);
  for (auto _ : state) {
    std::span<std::byte> rest = std::span(commit).subspan(k_commit_header_size);
    for (std::size_t i = 0; i < entries; ++i)
      rest = rest.subspan(encode_entry_record(GroupId{i}, header, payload, rest));
    const auto body = std::span(commit).subspan(k_commit_header_size);
    encode_commit_header({.start_id = 1,
                          .sequence = Sequence{2},
                          .body_checksum = xxh3(body),
                          .body_length = static_cast<std::uint32_t>(body.size()),
                          .record_count = static_cast<std::uint32_t>(entries)},
                         commit);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(commit.size()));
}
BENCHMARK(commit_encode)->Arg(1)->Arg(16)->Arg(256);

}  // namespace
}  // namespace millrace
