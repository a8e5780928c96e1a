#include "engine/log/journal_scan.h"

#include <algorithm>
#include <deque>
#include <memory>

#include "engine/base/checksum.h"
#include "engine/log/format_bytes.h"

namespace millrace {
namespace {

constexpr std::uint64_t k_read_size = 1_MiB;
// Reads in flight: enough for the full rate of today's drives.
constexpr std::size_t k_reads_ahead = 4;

// A whole file in memory; the next one of no greater size is read into the same, whose pages are there then.
struct FileBytes {
  std::unique_ptr<std::byte[]> bytes;
  std::uint64_t capacity = 0;
  std::uint64_t size = 0;
  void resize(std::uint64_t wanted) {
    if (wanted > capacity) {
      bytes = std::make_unique_for_overwrite<std::byte[]>(wanted);
      capacity = wanted;
    }
    size = wanted;
  }
  [[nodiscard]] std::span<const std::byte> from(std::uint64_t offset) const {
    return {bytes.get() + offset, size - offset};
  }
};

struct ReadAhead {
  Buffer buffer;
  std::uint64_t position = 0;
  std::uint64_t length = 0;
  Operation<std::uint64_t> operation;
};

Task<Result<void>> read_file(Reactor& reactor, File file, FileBytes& content) {
  CO_TRY(const std::uint64_t size, co_await reactor.size(file));
  content.resize(size);
  std::deque<ReadAhead> reads;
  std::uint64_t started = 0;
  for (std::uint64_t done = 0; done < content.size;) {
    while (started < content.size && reads.size() < k_reads_ahead) {
      CO_TRY(Buffer buffer, reactor.buffers().acquire(k_read_size));
      const std::uint64_t length = std::min(k_read_size, content.size - started);
      auto operation = reactor.read(file, Slice{buffer, 0, static_cast<std::uint32_t>(k_read_size)}, started);
      reads.push_back({std::move(buffer), started, length, std::move(operation)});
      started += length;
    }
    CO_TRY(const std::uint64_t count, co_await std::move(reads.front().operation));
    if (count < reads.front().length) {
      co_return fail(ErrorCode::io_error, "{}: read {} bytes at {}, expected {}", file.label(), count,
                     reads.front().position, reads.front().length);
    }
    std::memcpy(content.bytes.get() + reads.front().position, reads.front().buffer.data(),
                reads.front().length);
    done += reads.front().length;
    reads.pop_front();
  }
  co_return Result<void>{};
}

// Calls found(commit, is_whole) for each commit header in the file, block by block; the blocks of a whole
// commit are its own.
template <class Wanted, class Found>
void walk_commits(const FileBytes& content, std::uint32_t file_id, const Wanted& wanted, const Found& found) {
  for (std::uint64_t at = 0; at + k_block_size <= content.size;) {
    const auto header = decode_commit_header(content.from(at));
    if (!header || !wanted(*header, at)) {
      at += k_block_size;
      continue;
    }
    ScannedCommit commit{*header, {file_id, at}, {}};
    const bool fits = header->size() <= content.size - at;
    const auto body = fits ? content.from(at).subspan(k_commit_header_size, header->body_length)
                           : std::span<const std::byte>{};
    const bool is_whole = fits && xxh3(body) == header->body_checksum;
    if (is_whole) commit.body.assign(body.begin(), body.end());
    at += is_whole ? header->size() : k_block_size;
    found(std::move(commit), is_whole);
  }
}

Task<Result<void>> read_journal_file(Reactor& reactor, std::string path, std::uint64_t file_size,
                                     FileBytes& content) {
  auto file = co_await reactor.open(path, {.mode = OpenMode::read, .direct = true});
  if (!file && file.error().code == ErrorCode::not_found) {
    co_return fail(
        ErrorCode::corruption,
        "{} is missing: it is part of the journal that holds acknowledged entries; put it back, or start "
        "with an empty folder and let replicas fill it",
        path);
  }
  if (!file) co_return fail(std::move(file).error());
  CO_TRY_VOID(co_await read_file(reactor, *std::move(file), content));
  if (content.size < file_size) {
    co_return fail(ErrorCode::corruption,
                   "{} has {} bytes, the journal's files have {}: its end is lost; put it back from a copy",
                   path, content.size, file_size);
  }
  content.size = std::min(content.size, file_size);
  co_return Result<void>{};
}

}  // namespace

const ScannedCommit* JournalScan::find(Sequence sequence) const {
  const auto at = std::ranges::lower_bound(commits, sequence, {},
                                           [](const ScannedCommit& c) { return c.header.sequence; });
  return at != commits.end() && at->header.sequence == sequence ? &*at : nullptr;
}

Sequence JournalScan::called_complete() const {
  Sequence last{0};
  for (const ScannedCommit& commit : commits) last = std::max(last, commit.header.complete_through);
  return last;
}

JournalFiles journal_files(const DataFolder& folder, const Identity& identity, std::uint32_t number) {
  return {folder, number, identity.start_id, identity.journal_file_size, identity.journals[number]};
}

Task<Result<JournalScan>> scan_journal(Reactor& reactor, JournalFiles journal) {
  JournalScan scan;
  FileBytes content;
  for (std::size_t place = 0; place < journal.files.size(); ++place) {
    const std::uint32_t id = journal.files[place];
    CO_TRY_VOID(
        co_await read_journal_file(reactor, journal.folder.journal_file(id), journal.file_size, content));
    const auto wanted = [&](const CommitHeader& header, std::uint64_t offset) {
      return header.start_id == journal.start_id && header.journal == journal.number &&
             header.position % journal.file_size == offset &&
             header.position / journal.file_size % journal.files.size() == place &&
             header.complete_through < header.sequence;
    };
    walk_commits(content, id, wanted, [&](ScannedCommit commit, bool is_whole) {
      (is_whole ? scan.commits : scan.damaged).push_back(std::move(commit));
    });
  }
  std::ranges::sort(scan.commits, {}, [](const ScannedCommit& c) { return c.header.sequence; });
  const auto twice =
      std::ranges::adjacent_find(scan.commits, {}, [](const ScannedCommit& c) { return c.header.sequence; });
  if (twice != scan.commits.end()) {
    co_return fail(ErrorCode::corruption,
                   "{} at {}: commit {} stands in the journal twice; put the journal back from a copy",
                   journal.folder.journal_file(twice->place.file), twice->place.offset,
                   twice->header.sequence.value());
  }
  co_return scan;
}

Task<Result<std::vector<std::byte>>> read_commit_body(Reactor& reactor, const JournalFiles& journal,
                                                      ScannedCommit commit) {
  CO_TRY(File file, co_await reactor.open(journal.folder.journal_file(commit.place.file),
                                          {.mode = OpenMode::read, .direct = true}));
  const std::uint64_t size = commit.header.size();
  std::vector<std::byte> bytes(size);
  CO_TRY(Buffer buffer, reactor.buffers().acquire(std::min(size, k_read_size)));
  for (std::uint64_t at = 0; at < size;) {
    const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(buffer.capacity(), size - at));
    CO_TRY(const std::uint64_t count,
           co_await reactor.read(file, Slice{buffer, 0, length}, commit.place.offset + at));
    if (count < length)
      co_return fail(ErrorCode::io_error, "{}: short read at {}", file.label(), commit.place.offset + at);
    std::memcpy(bytes.data() + at, buffer.data(), length);
    at += length;
  }
  const auto body = std::span(bytes).subspan(k_commit_header_size, commit.header.body_length);
  if (xxh3(body) != commit.header.body_checksum) {
    co_return fail(ErrorCode::corruption,
                   "{} at {}: commit {} reads differently the second time; check the device", file.label(),
                   commit.place.offset, commit.header.sequence.value());
  }
  bytes.resize(k_commit_header_size + commit.header.body_length);
  bytes.erase(bytes.begin(), bytes.begin() + k_commit_header_size);
  co_return bytes;
}

Task<Result<std::vector<CommitInFile>>> list_commits(Reactor& reactor, std::string path,
                                                     std::uint32_t file_id) {
  CO_TRY(File file, co_await reactor.open(path, {.mode = OpenMode::read, .direct = true}));
  FileBytes content;
  CO_TRY_VOID(co_await read_file(reactor, std::move(file), content));
  std::vector<CommitInFile> commits;
  walk_commits(
      content, file_id, [](const CommitHeader&, std::uint64_t) { return true; },
      [&](ScannedCommit commit, bool is_whole) { commits.push_back({std::move(commit), is_whole}); });
  co_return commits;
}

}  // namespace millrace
