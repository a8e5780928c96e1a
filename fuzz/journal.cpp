// A journal of two files: finding its commits, walking their records, and folding them.
//
// Input: u8 (1: the commits belong where they stand, 2: repair their checksums, 4: repair the entries in
// them), u8 length of the files in blocks, then for each commit: u8 blocks that are left out before it, and a
// chunk: header and body.
#include <map>
#include <variant>

#include "engine/base/check.h"
#include "engine/log/format_bytes.h"
#include "engine/log/journal_scan.h"
#include "engine/log/recovery_fold.h"
#include "fuzz/input.h"
#include "fuzz/repair.h"
#include "fuzz/simulated.h"

namespace millrace::fuzz {
namespace {

constexpr std::uint64_t k_start_id = 0x0123456789abcdef;
constexpr std::uint32_t k_files = 2;

JournalFiles journal_of(std::uint64_t file_size) {
  return {DataFolder("data"), 0, k_start_id, file_size, {1, 2}};
}

// The entries of each group follow each other through all commits.
void repair_entries_of(std::span<std::byte> body, std::map<std::uint64_t, LogEnd>& ends) {
  while (body.size() >= k_journal_record_header_size) {
    const auto length = load_le<std::uint32_t>(body.data());
    const auto type = load_le<std::uint16_t>(body.data() + 4);
    const auto group = load_le<std::uint64_t>(body.data() + 8);
    if (length > body.size() - k_journal_record_header_size) return;
    if (type == static_cast<std::uint16_t>(JournalRecordType::entry)) {
      LogEnd& end = ends[group];
      end = repair_entries(body.subspan(k_journal_record_header_size, length), GroupId{group}, end);
    }
    body = body.subspan(std::min<std::size_t>(
        body.size(), k_journal_record_header_size + round_up(length, k_entry_alignment)));
  }
}

Bytes files_of(Input& input, std::uint64_t& file_size) {
  const auto flags = input.take<std::uint8_t>();
  file_size = (1 + input.take<std::uint8_t>() % 16U) * std::uint64_t{k_block_size};
  Bytes files(file_size * k_files);
  std::map<std::uint64_t, LogEnd> ends;
  std::uint64_t position = 0;
  for (std::uint64_t sequence = 1; !input.empty(); ++sequence) {
    position += std::uint64_t{input.take<std::uint8_t>()} * k_block_size;
    Bytes commit = input.take_chunk();
    if (commit.size() >= k_commit_header_size) {
      if ((flags & 1) != 0) {
        store_le<std::uint64_t>(commit.data() + 16, k_start_id);
        store_le<std::uint64_t>(commit.data() + 24, sequence);
        store_le<std::uint64_t>(commit.data() + 32, position);
        store_le<std::uint32_t>(commit.data() + 64, 0);
      }
      if ((flags & 4) != 0) repair_entries_of(std::span(commit).subspan(k_commit_header_size), ends);
      if ((flags & 2) != 0) repair_commit(commit);
    }
    const std::uint64_t at = position % files.size();
    const std::size_t fitting = std::min<std::uint64_t>(commit.size(), files.size() - at);
    std::ranges::copy(std::span(commit).first(fitting), files.begin() + static_cast<std::ptrdiff_t>(at));
    position += round_up_to_block(commit.size());
  }
  return files;
}

// A record that is taken is one that could have been written.
void check_record(const JournalRecord& record) {
  Bytes bytes(journal_record_size(record.body));
  encode_journal_record(record, bytes);
  JournalRecordReader reader(bytes);
  const auto again = reader.next();
  CHECK(again && reader.done() && again->group == record.group && again->body.index() == record.body.index());
  const auto same = [&]<class Body>(const Body& body) {
    const Body& other = std::get<Body>(again->body);
    if constexpr (std::is_same_v<Body, EntryRecord>) {
      return std::ranges::equal(other.entry, body.entry);
    } else {
      return other == body;
    }
  };
  CHECK(std::visit(same, record.body), "a record of type {} came back changed", record.body.index());
}

void check_commit(const ScannedCommit& commit, std::uint64_t file_size) {
  CHECK(commit.body.size() == commit.header.body_length);
  CHECK(commit.place.offset % k_block_size == 0 && commit.place.offset + commit.header.size() <= file_size,
        "a commit of {} bytes at {}", commit.header.size(), commit.place.offset);
  JournalRecordReader reader(commit.body);
  while (!reader.done()) {
    const auto record = reader.next();
    if (!record) CHECK(record.error().code == ErrorCode::corruption, "{}", record.error().message);
    if (!record) return;
    check_record(*record);
  }
}

void check_fold(const JournalScan& scan) {
  JournalFold fold;
  for (const ScannedCommit& commit : scan.commits) {
    if (!fold.add(commit)) return;
  }
  const auto folded = fold.finish(scan);
  if (!folded) return;
  for (const auto& [id, group] : folded->groups) {
    Index last = group.placed.last_index;
    for (const FoldedEntry& entry : group.entries) {
      CHECK(entry.index == next(last), "group {}: entry {} after {}", id.value(), entry.index.value(),
            last.value());
      CHECK(entry.offset + std::uint64_t{entry.size} <= scan.find(entry.commit)->body.size());
      last = entry.index;
    }
    CHECK(last == group.end.last_index);
  }
}

Task<void> read_journal(Reactor& reactor, std::uint64_t file_size) {
  const JournalFiles journal = journal_of(file_size);
  const auto scan = co_await scan_journal(reactor, journal);
  if (!scan) {
    CHECK(scan.error().code == ErrorCode::corruption, "{}", scan.error().message);
    co_return;
  }
  for (const ScannedCommit& commit : scan->commits) {
    check_commit(commit, file_size);
    CHECK(scan->find(commit.header.sequence) == &commit);
    const auto body = co_await read_commit_body(reactor, journal, commit);
    CHECK(body && *body == commit.body, "a commit reads differently the second time");
  }
  CHECK(scan->commits.empty() || scan->called_complete() < scan->commits.back().header.sequence);
  check_fold(*scan);
  const auto listed = co_await list_commits(reactor, journal.folder.journal_file(1), 1);
  CHECK(listed, "{}", listed.error().message);
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millrace::fuzz;
  Input input(data, size);
  std::uint64_t file_size = 0;
  const Bytes files = files_of(input, file_size);
  SimulatedMachine machine;
  const millrace::JournalFiles journal = journal_of(file_size);
  machine.write_file(journal.folder.journal_file(1), std::span(files).first(file_size));
  machine.write_file(journal.folder.journal_file(2), std::span(files).subspan(file_size));
  machine.run([&](millrace::Reactor& reactor) { return read_journal(reactor, file_size); });
  return 0;
}
