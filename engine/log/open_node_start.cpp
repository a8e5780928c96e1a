#include <algorithm>
#include <cstring>

#include "engine/base/checksum.h"
#include "engine/log/format_bytes.h"
#include "engine/log/journal_scan.h"
#include "engine/log/open_node_parts.h"

namespace millrace {
namespace {

constexpr std::uint32_t k_fill_size = 1u << 20;

// Every file in the journal folder, and what may be done with it.
struct FileStock {
  std::vector<std::uint32_t> spare;     // in no journal in force: free for anything
  std::vector<std::uint32_t> in_force;  // written again only once the identity has been switched
  std::uint32_t next_id = 1;

  static std::optional<std::uint32_t> take(std::vector<std::uint32_t>& from) {
    if (from.empty()) return std::nullopt;
    const std::uint32_t id = from.front();
    from.erase(from.begin());
    return id;
  }
};

Task<Result<std::uint64_t>> size_of(Reactor& reactor, std::string path) {
  CO_TRY(File file, co_await reactor.open(path, {.mode = OpenMode::read}));
  co_return co_await reactor.size(std::move(file));
}

Task<Result<FileStock>> take_stock(OpenContext& context) {
  FileStock stock;
  CO_TRY(const std::vector<FolderEntry> entries,
         co_await context.reactor.list(context.folder.journal_folder()));
  for (const FolderEntry& entry : entries) {
    if (entry.name.ends_with(".new")) {
      CO_TRY_VOID(co_await context.reactor.remove_file(context.folder.journal_folder() + "/" + entry.name));
      continue;
    }
    const auto id = DataFolder::journal_file_id(entry.name);
    if (!id) continue;
    stock.next_id = std::max(stock.next_id, *id + 1);
    CO_TRY(const std::uint64_t size, co_await size_of(context.reactor, context.folder.journal_file(*id)));
    if (size != context.options.journal_file_size) continue;
    const bool is_in_force = std::ranges::any_of(context.identity.journals, [&](const auto& journal) {
      return std::ranges::find(journal, *id) != journal.end();
    });
    (is_in_force ? stock.in_force : stock.spare).push_back(*id);
  }
  co_return stock;
}

enum class Fill : std::uint8_t { later, now };
enum class Ballast : std::uint8_t { stays, may_go };  // where the disk is full

// Complete under its name, or not there.
Task<Result<void>> create_journal_file(OpenContext& context, std::uint32_t id, Fill fill,
                                       Ballast ballast = Ballast::may_go) {
  Reactor& reactor = context.reactor;
  const std::uint64_t size = context.options.journal_file_size;
  const std::string path = context.folder.journal_file(id);
  CO_TRY(File file, co_await reactor.open(path + ".new", {.mode = OpenMode::create, .direct = true}));
  CO_TRY_VOID(ballast == Ballast::may_go ? co_await allocate_file(context, file, size)
                                         : co_await reactor.allocate(file, 0, size));
  if (fill == Fill::now) {
    CO_TRY(Buffer zeros, reactor.buffers().acquire(k_fill_size, PoolPart::reserve));
    std::memset(zeros.data(), 0, k_fill_size);
    for (std::uint64_t at = 0; at < size; at += k_fill_size) {
      const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(k_fill_size, size - at));
      CO_TRY_VOID(co_await reactor.write(file, Slice{zeros, 0, length}, at, Sync::no));
    }
  }
  CO_TRY_VOID(co_await reactor.sync(std::move(file)));
  co_return co_await reactor.rename(path + ".new", path);
}

// The first file takes the new checkpoint now, so it must not be one that the identity in force names.
Task<Result<void>> choose_first_file(OpenContext& context, FileStock& stock, JournalStart& journal) {
  auto id = FileStock::take(stock.spare);
  if (!id) {
    id = stock.next_id++;
    CO_TRY_VOID(co_await create_journal_file(context, *id, Fill::now));
  }
  journal.files.push_back(*id);
  journal.unfilled.push_back(false);
  co_return Result<void>{};
}

// What stands in a file taken over is harmless: its commits bear another start id.
Task<Result<void>> choose_other_files(OpenContext& context, FileStock& stock, JournalStart& journal) {
  while (journal.files.size() < k_journal_files) {
    auto id = FileStock::take(stock.in_force);
    if (!id) id = FileStock::take(stock.spare);
    const bool is_new = !id;
    if (is_new) {
      id = stock.next_id++;
      CO_TRY_VOID(co_await create_journal_file(context, *id, Fill::later));
    }
    journal.files.push_back(*id);
    journal.unfilled.push_back(is_new);
  }
  co_return Result<void>{};
}

// Writes commits into the first file of a new journal, one after the other.
class CheckpointWriter {
 public:
  CheckpointWriter(OpenContext& context, const Identity& identity, std::uint32_t number, File file,
                   Buffer buffer)
      : context_(context),
        identity_(identity),
        number_(number),
        file_(std::move(file)),
        buffer_(std::move(buffer)) {}

  Task<Result<void>> add(JournalRecord record) {
    if (used_ + journal_record_size(record.body) > buffer_.capacity()) CO_TRY_VOID(co_await commit());
    used_ += encode_journal_record(record, buffer_.bytes().subspan(used_));
    ++records_;
    co_return Result<void>{};
  }
  // Also when there is nothing in it: such a commit calls the one before complete.
  Task<Result<void>> commit() {
    CommitHeader header;
    header.start_id = identity_.start_id;
    header.sequence = next_;
    header.position = position_;
    header.complete_through = next_ - 1;
    header.body_length = static_cast<std::uint32_t>(used_ - k_commit_header_size);
    header.body_checksum = xxh3(buffer_.bytes().subspan(k_commit_header_size, header.body_length));
    header.record_count = records_;
    header.journal = number_;
    header.generation = identity_.generation;
    CHECK(position_ + header.size() <= identity_.journal_file_size,
          "a checkpoint of {} bytes and more in journal files of {}", position_ + header.size(),
          identity_.journal_file_size);
    encode_commit_header(header, buffer_.bytes());
    std::memset(buffer_.data() + used_, 0, header.size() - used_);
    CO_TRY_VOID(co_await context_.reactor.write(
        file_, Slice{buffer_, 0, static_cast<std::uint32_t>(header.size())}, position_, Sync::data));
    position_ += header.size();
    next_ = next(next_);
    used_ = k_commit_header_size;
    records_ = 0;
    co_return Result<void>{};
  }
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] Sequence next_sequence() const { return next_; }

 private:
  static Sequence next(Sequence sequence) { return sequence + 1; }
  OpenContext& context_;
  const Identity& identity_;
  std::uint32_t number_;
  File file_;
  Buffer buffer_;
  std::uint64_t used_ = k_commit_header_size;
  std::uint32_t records_ = 0;
  std::uint64_t position_ = 0;
  Sequence next_{1};
};

GroupStateRecord state_of(const RecoveredGroup& group) {
  return {group.term, group.voted_for, group.start, group.segment, group.end};
}

Task<Result<void>> write_checkpoint(OpenContext& context, const Identity& identity, std::uint32_t number,
                                    const std::vector<RecoveredGroup>& groups, JournalStart& journal) {
  Reactor& reactor = context.reactor;
  CO_TRY(File file, co_await reactor.open(context.folder.journal_file(journal.files.front()),
                                          {.mode = OpenMode::read_write, .direct = true}));
  CO_TRY(Buffer buffer, reactor.buffers().acquire(k_commit_size_max, PoolPart::reserve));
  CheckpointWriter writer(context, identity, number, std::move(file), std::move(buffer));
  for (const RecoveredGroup& group : groups) {
    CO_TRY_VOID(co_await writer.add({group.id, state_of(group)}));
    for (const KnownProducer& producer : group.producers.states())
      CO_TRY_VOID(co_await writer.add({group.id, ProducerRecord{producer}}));
  }
  const CheckpointEndRecord end{Sequence{1}, Sequence{1}, static_cast<std::uint32_t>(groups.size()), false};
  CO_TRY_VOID(co_await writer.add({k_metadata_group, end}));
  CO_TRY_VOID(co_await writer.commit());
  CO_TRY_VOID(co_await writer.commit());
  journal.position = writer.position();
  journal.next_sequence = writer.next_sequence();
  journal.replay_from = end.replay_from;
  co_return Result<void>{};
}

Task<Result<void>> write_slot(Reactor& reactor, File file, const Identity& identity, std::uint64_t slot) {
  CO_TRY(Buffer buffer, reactor.buffers().acquire(k_block_size, PoolPart::reserve));
  encode_identity(identity, buffer.bytes());
  CO_TRY_VOID(co_await reactor.write(file, Slice{buffer, 0, k_block_size}, slot * k_block_size, Sync::data));
  co_return Result<void>{};
}

// The slot that may be written: the one that does not hold the identity in force, or either of two that do.
Task<Result<std::uint64_t>> free_slot(OpenContext& context, File file) {
  CO_TRY(Buffer buffer, context.reactor.buffers().acquire(k_identity_file_size, PoolPart::reserve));
  CO_TRY_VOID(co_await context.reactor.read(file, Slice{buffer, 0, k_identity_file_size}, 0));
  const auto first = decode_identity(std::span<const std::byte>(buffer.bytes()).first(k_block_size));
  co_return first && *first == context.identity ? 1U : 0U;
}

}  // namespace

Task<Result<StartedJournals>> start_journals(OpenContext& context,
                                             const std::vector<std::vector<RecoveredGroup>>& groups) {
  StartedJournals started;
  CO_TRY(FileStock stock, co_await take_stock(context));
  started.journals.resize(context.options.shards);
  for (JournalStart& journal : started.journals)
    CO_TRY_VOID(co_await choose_first_file(context, stock, journal));
  for (JournalStart& journal : started.journals)
    CO_TRY_VOID(co_await choose_other_files(context, stock, journal));

  started.identity = context.identity;
  started.identity.generation = context.identity.generation + 1;
  started.identity.start_id = context.reactor.random();
  started.identity.journal_file_size = context.options.journal_file_size;
  started.identity.journals.clear();
  for (const JournalStart& journal : started.journals) started.identity.journals.push_back(journal.files);
  for (std::uint32_t number = 0; number < context.options.shards; ++number) {
    CO_TRY_VOID(co_await write_checkpoint(context, started.identity, number, groups[number],
                                          started.journals[number]));
  }
  CO_TRY_VOID(co_await context.reactor.sync_folder(context.folder.journal_folder()));
  co_return started;
}

// If power fails during the first write, the old identity counts, and everything it names is untouched.
// During the second, the new one counts. At rest both slots are the same, so that one that rots does no harm.
Task<Result<void>> write_identity(OpenContext& context, const Identity& identity) {
  CO_TRY(File file, co_await context.reactor.open(context.folder.identity(),
                                                  {.mode = OpenMode::read_write, .direct = true}));
  CO_TRY(const std::uint64_t slot, co_await free_slot(context, file));
  CO_TRY_VOID(co_await write_slot(context.reactor, file, identity, slot));
  co_return co_await write_slot(context.reactor, file, identity, 1 - slot);
}

Task<Result<void>> create_identity(OpenContext& context, const Identity& identity) {
  Reactor& reactor = context.reactor;
  const std::string path = context.folder.identity() + ".new";
  CO_TRY_VOID(co_await remove_if_there(reactor, path));
  CO_TRY(File file, co_await reactor.open(path, {.mode = OpenMode::create, .direct = true}));
  CO_TRY_VOID(co_await write_slot(reactor, file, identity, 0));
  CO_TRY_VOID(co_await write_slot(reactor, file, identity, 1));
  CO_TRY_VOID(co_await reactor.rename(path, context.folder.identity()));
  co_return co_await reactor.sync_folder(context.folder.root());
}

// Filled now: the next start has to have one that is, also on a full disk.
Task<Result<void>> make_spare(OpenContext& context, std::uint32_t id) {
  auto made = co_await create_journal_file(context, id, Fill::now, Ballast::stays);
  if (made || made.error().code != ErrorCode::disk_full) co_return made;
  const std::string path = context.folder.journal_file(id);
  context.notes.push_back(fmt::format(
      "the disk is too full for a spare journal file, {}, without which the next start needs space; "
      "free some",
      path));
  co_return co_await remove_if_there(context.reactor, path + ".new");
}

Task<Result<void>> tidy_journals(OpenContext& context, const Identity& identity) {
  Reactor& reactor = context.reactor;
  CO_TRY(const std::vector<FolderEntry> entries, co_await reactor.list(context.folder.journal_folder()));
  std::size_t spares = 0;
  std::uint32_t last_id = 0;
  bool removed = false;
  for (const FolderEntry& entry : entries) {
    const auto id = DataFolder::journal_file_id(entry.name);
    const auto names = [&](const auto& journal) { return std::ranges::find(journal, *id) != journal.end(); };
    if (id) last_id = std::max(last_id, *id);
    if (!id || std::ranges::any_of(identity.journals, names)) continue;
    const std::string path = context.folder.journal_file(*id);
    CO_TRY(const std::uint64_t size, co_await size_of(reactor, path));
    if (size == identity.journal_file_size && spares < identity.journals.size()) {
      ++spares;
      continue;
    }
    CO_TRY_VOID(co_await reactor.remove_file(path));
    removed = true;
  }
  if (removed) CO_TRY_VOID(co_await reactor.sync_folder(context.folder.journal_folder()));
  if (spares == identity.journals.size()) co_return Result<void>{};
  for (; spares < identity.journals.size(); ++spares) CO_TRY_VOID(co_await make_spare(context, ++last_id));
  co_return co_await reactor.sync_folder(context.folder.journal_folder());
}

}  // namespace millrace
