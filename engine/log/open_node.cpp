#include "engine/log/open_node.h"

#include "engine/base/uuid.h"
#include "engine/log/journal_room.h"
#include "engine/log/open_node_parts.h"
#include "engine/reactor/wait.h"

namespace millrace {
namespace {

constexpr std::size_t k_steps_at_once = 16;

Task<void> run_steps(std::size_t& next_step, std::size_t count,
                     const std::function<Task<Result<void>>(std::size_t)>& step, Result<void>& result) {
  while (next_step < count && result) {
    auto done = co_await step(next_step++);
    if (!done && result) result = std::move(done);
  }
}

template <class Id>
Id random_id(Reactor& reactor) {
  Id id;
  for (std::byte& byte : id.bytes) byte = static_cast<std::byte>(reactor.random());
  // RFC 9562 section 5.4: version 4, variant 10.
  id.bytes[6] = (id.bytes[6] & std::byte{0x0f}) | std::byte{0x40};
  id.bytes[8] = (id.bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  return id;
}

Result<void> check_options(const NodeOptions& options) {
  if (options.shards == 0 || options.shards > k_identity_files_max / k_journal_files) {
    return fail(ErrorCode::invalid_argument, "{} shards: expected 1 to {}", options.shards,
                k_identity_files_max / k_journal_files);
  }
  const std::uint64_t size = options.journal_file_size;
  if (size < k_journal_file_size_min || size > k_journal_file_size_max || size % k_block_size != 0) {
    return fail(ErrorCode::invalid_argument, "journal files of {} bytes: expected {} to {}, a multiple of {}",
                size, k_journal_file_size_min, k_journal_file_size_max, k_block_size);
  }
  return {};
}

// The bodies of the commits whose entries are still needed, one journal at a time: that bounds the memory of
// a start.
Task<Result<CommitBodies>> read_bodies(OpenContext& context, const ReadJournal& journal) {
  CommitBodies bodies;
  for (const ScannedCommit& commit : journal.needed) {
    CO_TRY(bodies[commit.header.sequence], co_await read_commit_body(context.reactor, journal.files, commit));
  }
  co_return bodies;
}

struct GroupRefs {  // of all journals, in one list
  std::vector<const FoldedGroup*> groups;
  std::vector<GroupFiles> files;
};

Task<Result<GroupRefs>> check_groups(OpenContext& context, const ReadJournal& journal) {
  GroupRefs refs;
  for (const auto& [id, group] : journal.folded.groups) refs.groups.push_back(&group);
  refs.files.resize(refs.groups.size());
  CO_TRY_VOID(co_await for_each_concurrently(
      context.reactor, refs.groups.size(), [&](std::size_t i) -> Task<Result<void>> {
        CO_TRY(refs.files[i], co_await check_group(context, *refs.groups[i]));
        co_return Result<void>{};
      }));
  co_return refs;
}

Task<Result<void>> settle_groups(OpenContext& context, const ReadJournal& journal, GroupRefs refs, bool clean,
                                 std::vector<std::vector<RecoveredGroup>>& groups) {
  CO_TRY(const CommitBodies bodies, co_await read_bodies(context, journal));
  std::vector<RecoveredGroup> settled(refs.groups.size());
  CO_TRY_VOID(co_await for_each_concurrently(
      context.reactor, refs.groups.size(), [&](std::size_t i) -> Task<Result<void>> {
        CO_TRY(settled[i],
               co_await settle_group(context, *refs.groups[i], std::move(refs.files[i]), bodies, clean));
        co_return Result<void>{};
      }));
  for (RecoveredGroup& group : settled) {
    const ShardId shard = shard_of(group.id, context.options.shards);
    groups[shard.value()].push_back(std::move(group));
  }
  co_return Result<void>{};
}

Result<void> check_no_group_twice(const std::vector<ReadJournal>& journals) {
  std::map<GroupId, std::uint32_t> seen;
  for (const ReadJournal& journal : journals) {
    for (const auto& [id, group] : journal.folded.groups) {
      const auto [other, is_new] = seen.emplace(id, journal.files.number);
      if (!is_new) {
        return fail(ErrorCode::corruption,
                    "group {} stands in journals {} and {}; put the journals back from a copy", id.value(),
                    other->second, journal.files.number);
      }
    }
  }
  return {};
}

Result<void> check_room(const NodeOptions& options, const std::vector<std::vector<RecoveredGroup>>& groups) {
  const std::size_t most = groups_max(options.journal_file_size);
  for (const auto& of_shard : groups) {
    if (of_shard.size() <= most) continue;
    return fail(
        ErrorCode::invalid_argument,
        "journal files of {} bytes hold checkpoints of {} partitions at most, and a shard would have {}; "
        "name a larger size, or more shards",
        options.journal_file_size, most, of_shard.size());
  }
  return {};
}

// Reads everything, then writes. If power fails anywhere before write_identity, the next start finds the old
// journals in force and does the same again.
Task<Result<void>> recover(OpenContext& context, OpenedNode& node) {
  std::vector<ReadJournal> journals;
  std::vector<GroupRefs> refs;
  bool clean = true;
  CO_TRY_VOID(co_await check_identity(context));
  for (std::uint32_t number = 0; number < context.identity.journals.size(); ++number) {
    CO_TRY(ReadJournal journal, co_await read_journal(context, number));
    clean = clean && journal.folded.clean && !journal.cut;
    journals.push_back(std::move(journal));
  }
  CO_TRY_VOID(check_no_group_twice(journals));
  for (const ReadJournal& journal : journals) {
    CO_TRY(GroupRefs checked, co_await check_groups(context, journal));
    refs.push_back(std::move(checked));
  }
  node.clean = clean;
  node.groups.resize(context.options.shards);
  if (!clean) CO_TRY_VOID(co_await sync_what_was_read(context));
  for (std::size_t i = 0; i < journals.size(); ++i) {
    CO_TRY_VOID(co_await settle_groups(context, journals[i], std::move(refs[i]), clean, node.groups));
  }
  co_return co_await tidy_group_folders(context, journals);
}

}  // namespace

Task<Result<Identity>> read_identity(OpenContext& context) {
  Reactor& reactor = context.reactor;
  auto file = co_await reactor.open(context.folder.identity(), {.mode = OpenMode::read, .direct = true});
  if (!file && file.error().code == ErrorCode::not_found) {
    co_return fail(ErrorCode::wrong_folder, "{} is no data folder: it holds no file named identity",
                   context.folder.root());
  }
  if (!file) co_return fail(std::move(file).error());
  CO_TRY(Buffer buffer, reactor.buffers().acquire(k_identity_file_size));
  CO_TRY(const std::uint64_t count, co_await reactor.read(*file, Slice{buffer, 0, k_identity_file_size}, 0));
  auto identity = choose_identity(std::span<const std::byte>(buffer.bytes()).first(count));
  if (!identity)
    co_return fail(identity.error().code, "{}: {}", context.folder.identity(), identity.error().message);
  if (context.options.cluster && *context.options.cluster != identity->cluster) {
    co_return fail(ErrorCode::wrong_folder, "{} belongs to cluster {}, not to {}; name another data folder",
                   context.folder.root(), to_string(identity->cluster), to_string(*context.options.cluster));
  }
  co_return identity;
}

Task<Result<File>> take_lock(OpenContext& context) {
  auto lock = co_await context.reactor.lock(context.folder.lock());
  if (!lock && lock.error().code == ErrorCode::folder_in_use) {
    co_return fail(ErrorCode::folder_in_use,
                   "{} is in use by another process; stop it, or name another data folder",
                   context.folder.root());
  }
  co_return lock;
}

Task<Result<void>> for_each_concurrently(Reactor& reactor, std::size_t count,
                                         std::function<Task<Result<void>>(std::size_t)> step) {
  std::size_t next_step = 0;
  Result<void> result;
  Gate gate(reactor);
  for (std::size_t i = 0; i < std::min(count, k_steps_at_once); ++i)
    gate.spawn(run_steps(next_step, count, step, result));
  co_await gate.wait();
  co_return result;
}

Task<Result<void>> remove_if_there(Reactor& reactor, std::string path) {
  auto removed = co_await reactor.remove_file(std::move(path));
  if (!removed && removed.error().code == ErrorCode::not_found) co_return Result<void>{};
  co_return removed;
}

Task<Result<void>> check_folder(Reactor& reactor, std::string folder) {
  OpenContext context{reactor, options_of(folder), DataFolder(folder), {}, {}};
  CO_TRY(const FolderState state, co_await look_at_folder(context));
  if (state == FolderState::ours) CO_TRY_VOID(co_await read_identity(context));
  co_return Result<void>{};
}

Task<Result<OpenedNode>> open_node(Reactor& reactor, NodeOptions options) {
  CO_TRY_VOID(check_options(options));
  OpenContext context{reactor, options, DataFolder(options.folder), {}, {}};
  OpenedNode node;
  CO_TRY(FolderState state, co_await look_at_folder(context));
  if (state != FolderState::ours) CO_TRY_VOID(co_await create_root(context));
  CO_TRY(node.lock, co_await take_lock(context));
  // Again: who held the lock until now may have made the folder.
  CO_TRY(state, co_await look_at_folder(context));
  node.created = state != FolderState::ours;
  if (node.created) CO_TRY_VOID(co_await create_folders(context));
  if (node.created) {
    context.identity.cluster = options.cluster ? *options.cluster : random_id<ClusterId>(reactor);
    context.identity.incarnation = random_id<IncarnationId>(reactor);
    node.groups.resize(options.shards);
    node.clean = true;
  } else {
    CO_TRY(context.identity, co_await read_identity(context));
    CO_TRY_VOID(co_await recover(context, node));
  }
  CO_TRY_VOID(check_room(options, node.groups));
  for (auto& groups : node.groups) {
    // Their journal may be smaller than the one that they were read from.
    for (RecoveredGroup& group : groups)
      group.producers.shrink(producers_max(options.journal_file_size, groups.size()));
  }
  CO_TRY_VOID(co_await make_ballast(context));
  CO_TRY(StartedJournals started, co_await start_journals(context, node.groups));
  CO_TRY_VOID(co_await (node.created ? create_identity(context, started.identity)
                                     : write_identity(context, started.identity)));
  CO_TRY_VOID(co_await tidy_journals(context, started.identity));
  node.identity = std::move(started.identity);
  node.journals = std::move(started.journals);
  node.ballast = std::move(context.ballast);
  node.notes = std::move(context.notes);
  co_return node;
}

}  // namespace millrace
