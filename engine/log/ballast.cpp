#include "engine/log/ballast.h"

namespace millrace {

Task<Result<bool>> keep_ballast(Reactor& reactor, DataFolder folder, std::uint64_t size) {
  const std::string path = folder.ballast();
  auto file = co_await reactor.open(path, {.mode = OpenMode::read_write});
  if (!file && file.error().code == ErrorCode::not_found) {
    file = co_await reactor.open(path, {.mode = OpenMode::create});
    // Another shard was first.
    if (!file && file.error().code == ErrorCode::already_exists)
      file = co_await reactor.open(path, {.mode = OpenMode::read_write});
  }
  if (!file) co_return fail(std::move(file).error());
  CO_TRY(const std::uint64_t there, co_await reactor.size(*file));
  if (there >= size) co_return true;
  auto allocated = co_await reactor.allocate(*file, 0, size);
  if (!allocated && allocated.error().code == ErrorCode::disk_full) {
    CO_TRY_VOID(co_await reactor.remove_file(path));
    co_return false;
  }
  if (!allocated) co_return fail(std::move(allocated).error());
  CO_TRY_VOID(co_await reactor.sync(*file));
  CO_TRY_VOID(co_await reactor.sync_folder(folder.root()));
  co_return true;
}

Task<Result<void>> allocate_with_ballast(Reactor& reactor, DataFolder folder, File file,
                                         std::uint64_t position, std::uint64_t length,
                                         BallastState& ballast) {
  auto allocated = co_await reactor.allocate(file, position, length);
  if (allocated || allocated.error().code != ErrorCode::disk_full) co_return allocated;
  auto removed = co_await reactor.remove_file(folder.ballast());
  // Another shard was first: what it left is not for clients of this one either.
  if (!removed && removed.error().code == ErrorCode::not_found) ballast.give_up();
  if (!removed) co_return allocated;
  reactor.log(LogLevel::warning, "the disk is full: gave up the ballast file " + folder.ballast());
  ballast.give_up();
  co_return co_await reactor.allocate(file, position, length);
}

Task<void> restore_ballast(LogContext& context, std::uint64_t beside) {
  const std::uint64_t size = context.options.ballast_size;
  co_await context.ballast_turn.lock();
  BallastState& ballast = *context.ballast;
  if (ballast.is_given_up()) {
    const std::uint64_t losses = ballast.losses();
    const auto free = co_await context.reactor.free_space(context.folder.root());
    if (free && *free >= size + beside) {
      const auto kept = context.checked(co_await keep_ballast(context.reactor, context.folder, size));
      if (kept && *kept) ballast.made_again(losses);
      // It was removed, perhaps from under another shard, which has just made it.
      if (kept && !*kept) ballast.give_up();
    }
  }
  context.ballast_turn.unlock();
}

}  // namespace millrace
