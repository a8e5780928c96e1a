#include <algorithm>

#include "engine/log/format_bytes.h"
#include "engine/log/open_node_parts.h"

namespace millrace {
namespace {

// The header of the commit that stands at the file's beginning, if one does.
Task<Result<std::optional<CommitHeader>>> first_commit(Reactor& reactor, std::string path) {
  CO_TRY(File file, co_await reactor.open(std::move(path), {.mode = OpenMode::read, .direct = true}));
  CO_TRY(Buffer block, reactor.buffers().acquire(k_block_size));
  CO_TRY(const std::uint64_t count, co_await reactor.read(file, Slice{block, 0, k_block_size}, 0));
  co_return decode_commit_header(std::span<const std::byte>(block.bytes()).first(count));
}

bool ends_checkpoint(const CommitInFile& found) {
  JournalRecordReader reader(found.commit.body);
  while (!reader.done()) {
    const auto record = reader.next();
    if (!record) return false;
    if (std::holds_alternative<CheckpointEndRecord>(record->body)) return true;
  }
  return false;
}

// Whether the start whose first file this is got further than the checkpoint and the empty commit with which
// every start begins. If not, nothing was acknowledged by it: power failed, and it may not have switched the
// identity.
bool went_on(std::vector<CommitInFile> commits, std::uint64_t start_id) {
  std::erase_if(commits, [&](const CommitInFile& found) { return found.commit.header.start_id != start_id; });
  const auto sequence = [](const CommitInFile& found) { return found.commit.header.sequence; };
  std::ranges::sort(commits, {}, sequence);
  if (sequence(commits.front()) != Sequence{1}) return true;
  const auto checkpoint = std::ranges::find_if(commits, ends_checkpoint);
  return checkpoint != commits.end() && sequence(commits.back()) > sequence(*checkpoint) + 1;
}

}  // namespace

// Every start writes its files from their beginning on, so one block of each tells.
Task<Result<void>> check_identity(OpenContext& context) {
  const auto entries = co_await context.reactor.list(context.folder.journal_folder());
  // Which of its files are missing is for read_journal() to say.
  if (!entries && entries.error().code == ErrorCode::not_found) co_return Result<void>{};
  if (!entries) co_return fail(entries.error());
  for (const FolderEntry& entry : *entries) {
    const auto id = DataFolder::journal_file_id(entry.name);
    if (!id) continue;
    const std::string path = context.folder.journal_file(*id);
    CO_TRY(const auto first, co_await first_commit(context.reactor, path));
    if (!first || first->generation <= context.identity.generation) continue;
    CO_TRY(auto commits, co_await list_commits(context.reactor, path, *id));
    if (!went_on(std::move(commits), first->start_id)) continue;
    co_return fail(
        ErrorCode::corruption,
        "{} is that of start {}, but {} at 0 holds commits of start {}, which went on after it; put the "
        "newest identity back, or let replicas fill an empty folder",
        context.folder.identity(), context.identity.generation, path, first->generation);
  }
  co_return Result<void>{};
}

}  // namespace millrace
