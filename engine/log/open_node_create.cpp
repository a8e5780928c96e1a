#include <algorithm>
#include <array>

#include "engine/log/ballast.h"
#include "engine/log/open_node_parts.h"

namespace millrace {
namespace {

// What stands in a data folder, and so what an unfinished one may hold.
constexpr std::array<std::string_view, 6> k_our_names = {"ballast",      "groups",  "identity",
                                                         "identity.new", "journal", "lock"};

// mkfs.ext4 makes it at the top of a volume, for what fsck will find; a fresh volume holds nothing else.
bool is_of_the_volume(const FolderEntry& entry) {
  return entry.name == "lost+found" && entry.is_folder;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Of a folder, in the one above it.
Task<Result<void>> sync_name(Reactor& reactor, std::string path) {
  auto synced = co_await reactor.sync_folder(parent_of(path));
  // A folder that somebody else has made for us may stand where we may not look; its name is theirs to keep.
  if (!synced && synced.error().code == ErrorCode::permission_denied) co_return Result<void>{};
  co_return synced;
}

// With parents where they are missing; each name is durable before something is put behind it, also one that
// a start made which then got no further.
Task<Result<void>> make_folder(Reactor& reactor, std::string path) {
  auto made = co_await reactor.create_folder(path);
  if (!made && made.error().code == ErrorCode::already_exists) made = {};
  if (!made && made.error().code == ErrorCode::not_found && parent_of(path) != path) {
    CO_TRY_VOID(co_await make_folder(reactor, parent_of(path)));
    made = co_await reactor.create_folder(path);
  }
  CO_TRY_VOID(std::move(made));
  co_return co_await sync_name(reactor, std::move(path));
}

// A folder without identity that is ours was given up before it held anything.
Task<Result<void>> check_holds_nothing(OpenContext& context) {
  auto groups = co_await context.reactor.list(context.folder.groups_folder());
  if (!groups && groups.error().code == ErrorCode::not_found) co_return Result<void>{};
  if (!groups) co_return fail(std::move(groups).error());
  if (groups->empty()) co_return Result<void>{};
  co_return fail(
      ErrorCode::wrong_folder,
      "{} holds groups but no file named identity; put that file back, or name another data folder",
      context.folder.root());
}

}  // namespace

Task<Result<FolderState>> look_at_folder(OpenContext& context) {
  auto names = co_await context.reactor.list(context.folder.root());
  if (!names && names.error().code == ErrorCode::not_found) co_return FolderState::missing;
  if (!names) co_return fail(std::move(names).error());
  const auto is_identity = [](const FolderEntry& entry) { return entry.name == "identity"; };
  if (std::ranges::any_of(*names, is_identity)) co_return FolderState::ours;
  for (const FolderEntry& entry : *names) {
    if (is_of_the_volume(entry) || std::ranges::find(k_our_names, entry.name) != k_our_names.end()) continue;
    co_return fail(ErrorCode::wrong_folder,
                   "{} is no data folder and not empty ({} stands in it); name an empty or a new folder",
                   context.folder.root(), entry.name);
  }
  CO_TRY_VOID(co_await check_holds_nothing(context));
  co_return FolderState::unfinished;
}

Task<Result<void>> create_root(OpenContext& context) {
  CO_TRY_VOID(co_await make_folder(context.reactor, context.folder.root()));
  // Those above it may be such folders, too.
  for (std::string path = parent_of(context.folder.root()); path != parent_of(path); path = parent_of(path))
    CO_TRY_VOID(co_await sync_name(context.reactor, path));
  co_return Result<void>{};
}

Task<Result<void>> create_folders(OpenContext& context) {
  CO_TRY_VOID(co_await make_folder(context.reactor, context.folder.journal_folder()));
  co_return co_await make_folder(context.reactor, context.folder.groups_folder());
}

Task<Result<void>> make_ballast(OpenContext& context) {
  const std::uint64_t size = context.options.ballast_size;
  CO_TRY(const bool is_there, co_await keep_ballast(context.reactor, context.folder, size));
  if (!is_there) {
    context.ballast->give_up();
    context.notes.push_back(
        fmt::format("the disk is too full for the ballast file {} of {} bytes; free some space",
                    context.folder.ballast(), size));
  }
  co_return Result<void>{};
}

Task<Result<void>> allocate_file(OpenContext& context, File file, std::uint64_t length) {
  const bool was_there = !context.ballast->is_given_up();
  auto allocated = co_await allocate_with_ballast(context.reactor, context.folder, std::move(file), 0, length,
                                                  *context.ballast);
  if (was_there && context.ballast->is_given_up()) {
    context.notes.push_back(
        fmt::format("the disk is full: gave up the ballast file {}", context.folder.ballast()));
  }
  co_return allocated;
}

}  // namespace millrace
