#include "engine/log/verify.h"

#include <algorithm>
#include <optional>

#include "engine/log/journal_scan.h"
#include "engine/log/open_node_parts.h"
#include "engine/log/segment_scan.h"

namespace millrace {
namespace {

bool is_about_bytes(const Error& error) {
  return error.code == ErrorCode::corruption || error.code == ErrorCode::unsupported_version;
}

class Verifier {
 public:
  Verifier(Reactor& reactor, const std::string& folder)
      : context_{reactor, options_of(folder), DataFolder(folder), {}, {}} {}
  Task<Result<VerifyReport>> run();

 private:
  void find(std::string file, std::uint64_t position, std::string meaning);
  Task<Result<void>> count_commits(std::uint32_t number);
  Task<Result<void>> check_journal(std::uint32_t number);
  Task<Result<void>> check_group_files(const FoldedGroup& group);
  // `before`: what the segment must go on; nothing if the one before it could not be read.
  Task<Result<void>> check_segment(const FoldedGroup& group, Index first, Index last,
                                   std::optional<LogEnd>& before);
  void check_header(const std::string& label, const SegmentHeader& header, const FoldedGroup& group,
                    Index first, const std::optional<LogEnd>& before);
  Task<Result<std::optional<SegmentFooter>>> scan_entries(File file, SegmentHeader header, Index last,
                                                          const std::optional<SegmentFooter>& footer);
  void check_footer(const std::string& label, const SegmentFooter& footer, const SegmentFooter& made);

  OpenContext context_;
  VerifyReport report_;
};

// Messages begin with the place that a finding has in fields of its own.
void Verifier::find(std::string file, std::uint64_t position, std::string meaning) {
  for (const std::string& prefix : {fmt::format("{} at {}: ", file, position), fmt::format("{}: ", file)}) {
    if (!meaning.starts_with(prefix)) continue;
    meaning.erase(0, prefix.size());
    break;
  }
  report_.findings.push_back({std::move(file), position, std::move(meaning)});
}

Task<Result<void>> Verifier::count_commits(std::uint32_t number) {
  CO_TRY(const JournalScan scan,
         co_await scan_journal(context_.reactor, journal_files(context_.folder, context_.identity, number)));
  report_.commits += scan.commits.size();
  for (const ScannedCommit& commit : scan.commits) report_.journal_records += commit.header.record_count;
  co_return Result<void>{};
}

Task<Result<void>> Verifier::check_journal(std::uint32_t number) {
  ++report_.journals;
  auto counted = co_await count_commits(number);
  if (!counted && !is_about_bytes(counted.error())) co_return counted;
  auto journal = co_await read_journal(context_, number);
  if (!journal && !is_about_bytes(journal.error())) co_return fail(std::move(journal).error());
  if (!journal) {
    find(context_.folder.journal_folder(), 0, journal.error().message);
    co_return Result<void>{};
  }
  for (const auto& [id, group] : journal->folded.groups) {
    ++report_.groups;
    report_.journal_entries += group.entries.size();
    CO_TRY_VOID(co_await check_group_files(group));
  }
  co_return Result<void>{};
}

Task<Result<void>> Verifier::check_group_files(const FoldedGroup& group) {
  auto files = co_await check_group(context_, group);
  if (!files && !is_about_bytes(files.error())) co_return fail(std::move(files).error());
  if (!files) {
    find(context_.folder.group_folder(group.id), 0, files.error().message);
    co_return Result<void>{};
  }
  for (const Index first : files->beyond) {
    report_.notes.push_back(fmt::format("{}: begins behind the log's end; the next start removes it",
                                        context_.folder.segment(group.id, first)));
  }
  for (const std::string& name : files->leftovers) {
    report_.notes.push_back(fmt::format("{}/{}: was never finished; the next start removes it",
                                        context_.folder.group_folder(group.id), name));
  }
  std::optional<LogEnd> before;
  for (std::size_t i = 0; i < files->segments.size(); ++i) {
    const bool is_last = i + 1 == files->segments.size();
    const Index last = is_last ? group.placed.last_index : files->segments[i + 1] - 1;
    CO_TRY_VOID(co_await check_segment(group, files->segments[i], last, before));
  }
  if (before && *before != group.placed) {
    find(context_.folder.segment(group.id, files->segments.back()), group.segment.position,
         fmt::format("its entries end with index {} and another chain value than the journal says",
                     before->last_index.value()));
  }
  co_return Result<void>{};
}

void Verifier::check_header(const std::string& label, const SegmentHeader& header, const FoldedGroup& group,
                            Index first, const std::optional<LogEnd>& before) {
  if (const auto other = whose_header(header, context_.identity.cluster, group.id, first)) {
    find(label, 0, *other);
  } else if (before && range_of(header).before != *before) {
    find(label, 0,
         fmt::format("does not go on where the segment before it ends, after entry {}",
                     before->last_index.value()));
  }
}

// Reads every entry; gives the footer that they make, or nothing after damage.
Task<Result<std::optional<SegmentFooter>>> Verifier::scan_entries(
    File file, SegmentHeader header, Index last, const std::optional<SegmentFooter>& footer) {
  constexpr std::optional<SegmentFooter> k_nothing;
  SegmentScanner scanner(context_.reactor, file, header.group, range_of(header, last));
  SegmentFooter made;
  std::size_t item = 0;
  while (true) {
    auto entry = co_await scanner.next();
    if (!entry && !is_about_bytes(entry.error())) co_return fail(std::move(entry).error());
    if (!entry) {
      find(file.label(), scanner.position(), entry.error().message);
      co_return k_nothing;
    }
    if (!*entry) break;
    const ScannedEntry& found = **entry;
    ++report_.entries;
    report_.entry_bytes += found.bytes.size();
    add_to_footer(made, found);
    if (!footer || item >= footer->index.size() || footer->index[item].position > found.position) continue;
    const SparseIndexItem& wanted = footer->index[item++];
    if (wanted.position != found.position || wanted.index != found.header.index ||
        wanted.offset != found.header.base_offset) {
      find(file.label(), footer->end_position,
           fmt::format("the footer's sparse index has entry {} at {}, where it does not begin",
                       wanted.index.value(), wanted.position));
    }
  }
  if (scanner.end().last_index < last) {
    find(file.label(), scanner.position(),
         fmt::format("the entries end with index {}, but it held entries up to index {}",
                     scanner.end().last_index.value(), last.value()));
    co_return k_nothing;
  }
  made.end = scanner.end();
  made.end_position = scanner.position();
  co_return made;
}

void Verifier::check_footer(const std::string& label, const SegmentFooter& footer,
                            const SegmentFooter& made) {
  if (footer.end.last_index > made.end.last_index) {
    report_.notes.push_back(
        fmt::format("{}: the footer is from before a cut; it is made again when it is needed", label));
    return;
  }
  if (footer.end != made.end) {
    find(label, footer.end_position,
         fmt::format("the footer tells of another end (entry {}) than the entries have (entry {})",
                     footer.end.last_index.value(), made.end.last_index.value()));
  } else if (footer.max_timestamp != made.max_timestamp) {
    find(label, footer.end_position,
         fmt::format("the footer's largest timestamp is {}, that of the entries {}", footer.max_timestamp,
                     made.max_timestamp));
  }
}

Task<Result<void>> Verifier::check_segment(const FoldedGroup& group, Index first, Index last,
                                           std::optional<LogEnd>& before) {
  ++report_.segments;
  const auto expected = std::exchange(before, std::nullopt);
  CO_TRY(File file, co_await context_.reactor.open(context_.folder.segment(group.id, first),
                                                   {.mode = OpenMode::read, .direct = true}));
  auto header = co_await read_segment_header(context_.reactor, file);
  if (!header && !is_about_bytes(header.error())) co_return fail(std::move(header).error());
  if (!header) {
    find(file.label(), 0, header.error().message);
    co_return Result<void>{};
  }
  check_header(file.label(), *header, group, first, expected);
  CO_TRY(const auto footer, co_await read_footer(context_.reactor, file));
  CO_TRY(const auto made, co_await scan_entries(file, *header, last, footer));
  if (footer) ++report_.footers;
  if (!made) co_return Result<void>{};
  if (footer) check_footer(file.label(), *footer, *made);
  before = made->end;
  co_return Result<void>{};
}

Task<Result<VerifyReport>> Verifier::run() {
  CO_TRY(const auto names, co_await context_.reactor.list(context_.folder.root()));
  const auto stands_there = [&](const char* name) {
    return std::ranges::find(names, name, &FolderEntry::name) != names.end();
  };
  // A folder without a lock, as a copy may be, is used by nobody; making it would be a write. One without an
  // identity is not ours, and neither is its lock.
  File lock;
  if (stands_there("identity") && stands_there("lock")) {
    CO_TRY(lock, co_await take_lock(context_));
  }
  auto identity = co_await read_identity(context_);
  if (!identity && identity.error().code != ErrorCode::corruption)
    co_return fail(std::move(identity).error());
  if (!identity) {
    find(context_.folder.identity(), 0, identity.error().message);
    co_return std::move(report_);
  }
  context_.identity = *std::move(identity);
  const auto latest = co_await check_identity(context_);
  if (!latest && !is_about_bytes(latest.error())) co_return fail(latest.error());
  if (!latest) find(context_.folder.identity(), 0, latest.error().message);
  for (std::uint32_t number = 0; number < context_.identity.journals.size(); ++number) {
    CO_TRY_VOID(co_await check_journal(number));
  }
  report_.notes.insert(report_.notes.begin(), context_.notes.begin(), context_.notes.end());
  co_return std::move(report_);
}

}  // namespace

Task<Result<VerifyReport>> verify_folder(Reactor& reactor, std::string folder) {
  Verifier verifier(reactor, folder);
  co_return co_await verifier.run();
}

}  // namespace millrace
