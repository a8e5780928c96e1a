#include <algorithm>

#include "engine/log/format_bytes.h"
#include "engine/log/open_node_parts.h"
#include "engine/log/recovery_table.h"
#include "engine/log/segment_scan.h"

namespace millrace {
namespace {

struct Checkpoint {
  Sequence at{0};  // the commit with its end
  CheckpointEndRecord end;
};

std::unexpected<Error> damaged_at(const JournalFiles& journal, const ScannedCommit& commit,
                                  const std::string& what) {
  return fail(
      ErrorCode::corruption,
      "{} at {}, commit {}: {}; put the journal back from a copy, or let replicas fill an empty folder",
      journal.folder.journal_file(commit.place.file), commit.place.offset, commit.header.sequence.value(),
      what);
}

// Every checkpoint that has an end, the newest first.
Result<std::vector<Checkpoint>> find_checkpoints(const JournalFiles& journal, const JournalScan& scan) {
  std::vector<Checkpoint> found;
  for (const ScannedCommit& commit : scan.commits) {
    JournalRecordReader reader(commit.body);
    while (!reader.done()) {
      auto record = reader.next();
      if (!record) return damaged_at(journal, commit, record.error().message);
      const auto* end = std::get_if<CheckpointEndRecord>(&record->body);
      if (end == nullptr) continue;
      if (end->replay_from > end->first || end->first > commit.header.sequence) {
        return damaged_at(journal, commit, "a checkpoint that ends before it begins");
      }
      found.push_back({commit.header.sequence, *end});
    }
  }
  std::ranges::reverse(found);
  return found;
}

// How far the journal goes, from one checkpoint on.
struct Prefix {
  Sequence last{0};
  const RecoveryRow* row = nullptr;  // that ended it
};

// Whether the extent stands in its segment as the commit describes it.
Task<Result<bool>> is_whole(OpenContext& context, GroupId group, ExtentRecord extent) {
  auto file = co_await context.reactor.open(context.folder.segment(group, extent.segment),
                                            {.mode = OpenMode::read, .direct = true});
  if (!file && file.error().code == ErrorCode::not_found) co_return false;
  if (!file) co_return fail(std::move(file).error());
  const ScanRange range{extent.position,
                        {extent.first_index - 1, extent.first_offset, extent.chain_before},
                        extent.end.last_index,
                        extent.position + extent.length};
  SegmentScanner scanner(context.reactor, *std::move(file), group, range);
  while (true) {
    auto entry = co_await scanner.next();
    if (!entry && entry.error().code == ErrorCode::corruption) co_return false;
    if (!entry) co_return fail(std::move(entry).error());
    if (!*entry) co_return scanner.end() == extent.end;
  }
}

Task<Result<CommitExtents>> check_extents(OpenContext& context, const ScannedCommit& commit) {
  JournalRecordReader reader(commit.body);
  while (!reader.done()) {
    CO_TRY(const JournalRecord record, reader.next());
    const auto* extent = std::get_if<ExtentRecord>(&record.body);
    if (extent == nullptr) continue;
    CO_TRY(const bool whole, co_await is_whole(context, record.group, *extent));
    if (!whole) co_return CommitExtents::torn;
  }
  co_return CommitExtents::whole;
}

// Asks the table for one commit after the other.
Task<Result<Prefix>> decide_prefix(OpenContext& context, const JournalScan& scan, Sequence from) {
  const Sequence called = scan.called_complete();
  for (Sequence sequence = from;; sequence = next(sequence)) {
    const ScannedCommit* commit = scan.find(sequence);
    RecoveryCase asked;
    asked.bytes = commit != nullptr ? CommitBytes::whole : CommitBytes::missing;
    asked.called = sequence <= called ? CalledComplete::yes : CalledComplete::no;
    asked.later = scan.commits.back().header.sequence > sequence ? LaterCommits::some : LaterCommits::none;
    if (commit != nullptr && asked.called == CalledComplete::no) {
      CO_TRY(asked.extents, co_await check_extents(context, *commit));
    }
    const RecoveryRow& row = decide(asked);
    if (row.verdict != RecoveryVerdict::keep) co_return Prefix{sequence - 1, &row};
  }
}

// Where the commit behind `last` should stand, as exactly as can be known.
std::string place_behind(const JournalFiles& journal, const JournalScan& scan, Sequence last) {
  for (const ScannedCommit& commit : scan.damaged) {
    if (commit.header.sequence != next(last)) continue;
    return fmt::format("{} at {}", journal.folder.journal_file(commit.place.file), commit.place.offset);
  }
  const ScannedCommit* before = scan.find(last);
  if (before == nullptr) return fmt::format("journal {}", journal.number);
  return fmt::format("{} at {}, or the file after it", journal.folder.journal_file(before->place.file),
                     before->place.offset + before->header.size());
}

std::unexpected<Error> lost_commit(const JournalFiles& journal, const JournalScan& scan, Sequence last) {
  return fail(ErrorCode::corruption,
              "{}: commit {} is damaged or gone, and commit {} calls everything up to {} complete, so "
              "acknowledged entries are "
              "lost; put the journal back from a copy, or let replicas fill an empty folder",
              place_behind(journal, scan, last), last.value() + 1,
              scan.commits.back().header.sequence.value(), scan.called_complete().value());
}

std::string cut_note(const JournalFiles& journal, const JournalScan& scan, const Prefix& prefix) {
  const auto whole = std::ranges::count_if(
      scan.commits, [&](const ScannedCommit& commit) { return commit.header.sequence > prefix.last; });
  const std::string behind =
      whole == 0 ? ""
                 : fmt::format(", and with it {} whole commit{} behind it", whole, whole == 1 ? "" : "s");
  return fmt::format(
      "journal {}: cut the torn tail that a crash left, from commit {} on ({}: {}){}; nothing of it had been "
      "acknowledged as durable",
      journal.number, prefix.last.value() + 1, place_behind(journal, scan, prefix.last), prefix.row->label,
      behind);
}

Result<void> check_group_count(const JournalScan& scan, const Checkpoint& checkpoint) {
  std::uint64_t states = 0;
  for (const ScannedCommit& commit : scan.commits) {
    if (commit.header.sequence < checkpoint.end.first || commit.header.sequence > checkpoint.at) continue;
    JournalRecordReader reader(commit.body);
    while (!reader.done()) {
      TRY(const JournalRecord record, reader.next());
      if (std::holds_alternative<GroupStateRecord>(record.body)) ++states;
    }
  }
  if (states >= checkpoint.end.group_count) return {};
  return fail(ErrorCode::corruption, "a checkpoint of {} groups has the states of {}",
              checkpoint.end.group_count, states);
}

Task<Result<ReadJournal>> fold_prefix(OpenContext& context, JournalFiles files, JournalScan scan,
                                      Checkpoint checkpoint, Prefix prefix) {
  ReadJournal journal{std::move(files), {}, {}, false};
  if (prefix.row->verdict == RecoveryVerdict::cut) {
    journal.cut = true;
    context.notes.push_back(cut_note(journal.files, scan, prefix));
  }
  CO_TRY_VOID(check_group_count(scan, checkpoint));
  JournalFold fold;
  for (const ScannedCommit& commit : scan.commits) {
    const bool is_needed =
        commit.header.sequence >= checkpoint.end.replay_from && commit.header.sequence <= prefix.last;
    if (!is_needed) continue;
    auto added = fold.add(commit);
    if (!added) co_return damaged_at(journal.files, commit, added.error().message);
  }
  auto folded = fold.finish(scan);
  if (!folded)
    co_return fail(ErrorCode::corruption, "journal {}: {}", journal.files.number, folded.error().message);
  journal.folded = *std::move(folded);
  std::set<Sequence> needed;
  for (const auto& [id, group] : journal.folded.groups) {
    for (const FoldedEntry& entry : group.entries) needed.insert(entry.commit);
  }
  for (const Sequence sequence : needed) {
    const ScannedCommit* commit = scan.find(sequence);
    journal.needed.push_back({commit->header, commit->place, {}});
  }
  co_return journal;
}

}  // namespace

Task<Result<ReadJournal>> read_journal(OpenContext& context, std::uint32_t number) {
  JournalFiles files = journal_files(context.folder, context.identity, number);
  CO_TRY(JournalScan scan, co_await scan_journal(context.reactor, files));
  CO_TRY(const std::vector<Checkpoint> checkpoints, find_checkpoints(files, scan));
  for (const Checkpoint& checkpoint : checkpoints) {
    CO_TRY(const Prefix prefix, co_await decide_prefix(context, scan, checkpoint.end.replay_from));
    if (prefix.row->verdict == RecoveryVerdict::corruption) co_return lost_commit(files, scan, prefix.last);
    // A checkpoint in the tail that is cut never came to be; the one before it still has everything it needs.
    if (prefix.last < checkpoint.at) continue;
    co_return co_await fold_prefix(context, std::move(files), std::move(scan), checkpoint, prefix);
  }
  co_return fail(ErrorCode::corruption,
                 "journal {} ({} and the files after it) has no whole checkpoint, although every start "
                 "writes one first; put the "
                 "journal back from a copy, or let replicas fill an empty folder",
                 number, context.folder.journal_file(files.files.front()));
}

// If power fails in here, each sector is as it was durable or as it was read: of what had been synced before,
// the same.
Task<Result<void>> make_durable(Reactor& reactor, std::string path) {
  constexpr std::uint32_t k_piece = 1u << 20;
  CO_TRY(File file, co_await reactor.open(std::move(path), {.mode = OpenMode::read_write, .direct = true}));
  CO_TRY(const std::uint64_t size, file.direct() ? Result<std::uint64_t>(0) : co_await reactor.size(file));
  if (size != 0) {
    CO_TRY(const Buffer buffer, reactor.buffers().acquire(std::min<std::uint64_t>(size, k_piece)));
    for (std::uint64_t at = 0; at < size; at += k_piece) {
      const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(k_piece, size - at));
      CO_TRY(const std::uint64_t count, co_await reactor.read(file, Slice{buffer, 0, length}, at));
      if (count == 0) break;
      CO_TRY_VOID(
          co_await reactor.write(file, Slice{buffer, 0, static_cast<std::uint32_t>(count)}, at, Sync::no));
    }
  }
  co_return co_await reactor.sync(std::move(file));
}

// What was read may stand in a cache alone, and so may the names: a start that was killed may have made or
// switched the identity without syncing it. Files are about to be removed and written again on the word of
// these journals, so a later start must find the same word.
Task<Result<void>> sync_what_was_read(OpenContext& context) {
  Reactor& reactor = context.reactor;
  std::vector<std::string> paths{context.folder.identity()};
  for (const auto& journal : context.identity.journals) {
    for (const std::uint32_t id : journal) paths.push_back(context.folder.journal_file(id));
  }
  for (std::string& path : paths) CO_TRY_VOID(co_await make_durable(reactor, std::move(path)));
  CO_TRY_VOID(co_await reactor.sync_folder(context.folder.journal_folder()));
  CO_TRY_VOID(co_await reactor.sync_folder(context.folder.groups_folder()));
  co_return co_await reactor.sync_folder(context.folder.root());
}

}  // namespace millrace
