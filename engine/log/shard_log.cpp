#include "engine/log/shard_log.h"

#include "engine/log/appender.h"
#include "engine/log/checkpointer.h"
#include "engine/log/committer.h"
#include "engine/log/group_keeper.h"
#include "engine/log/journal.h"
#include "engine/log/log_context.h"
#include "engine/log/log_reader.h"
#include "engine/log/mover.h"
#include "engine/log/retention.h"

namespace millrace {

struct ShardLog::State {
  State(Reactor& reactor, DataFolder folder, const Identity& identity, const JournalStart& start,
        std::shared_ptr<BallastState> ballast, ShardLogOptions options)
      : context(reactor, std::move(folder), identity, std::move(ballast), options),
        journal(context, start, identity.journal_file_size),
        cache(context),
        mover(context, cache),
        committer(context, journal, mover, cache, identity.start_id, reactor.shard().value()),
        checkpointer(context, journal, committer, mover),
        appender(context, committer),
        reader(context),
        keeper(context, committer, mover, cache, reader),
        retention(context, appender, reader, checkpointer) {}

  LogContext context;
  Journal journal;
  EntryCache cache;
  Mover mover;
  Committer committer;
  Checkpointer checkpointer;
  Appender appender;
  LogReader reader;
  GroupKeeper keeper;
  Retention retention;
};

ShardLog::ShardLog(Reactor& reactor, DataFolder folder, const Identity& identity, const JournalStart& journal,
                   const std::vector<RecoveredGroup>& groups, std::shared_ptr<BallastState> ballast,
                   ShardLogOptions options)
    : state_(std::make_unique<State>(reactor, std::move(folder), identity, journal, std::move(ballast),
                                     options)) {
  for (const RecoveredGroup& group : groups) state_->keeper.adopt(group);
}

ShardLog::~ShardLog() = default;

Task<Result<void>> ShardLog::start() {
  CO_TRY_VOID(co_await state_->journal.open());
  state_->committer.start();
  state_->checkpointer.start();
  state_->retention.start();
  co_return Result<void>{};
}

Task<Result<void>> ShardLog::stop() {
  State& s = *state_;
  s.context.stopping = true;
  s.context.space.wake_all();
  for (const auto& [id, group] : s.context.groups) group->readable.wake_all();
  co_await s.retention.stop();
  // Appends that were admitted finish; those that wait for admission are refused.
  const std::vector<GroupId> ids = groups();
  for (const GroupId id : ids) {
    auto group = s.context.find(id);
    if (!group) continue;
    co_await (*group)->admission.lock();
    (*group)->admission.unlock();
  }
  for (const GroupId id : ids) {
    auto group = s.context.find(id);
    while (group && (*group)->durable != (*group)->end && !s.context.failure)
      co_await s.committer.progress().wait();
  }
  co_await s.checkpointer.stop();
  // Who reads after the next start would have to scan a segment that has no footer.
  Result<void> clean;
  if (!s.context.failure) clean = co_await s.mover.move_all();
  if (clean) co_await s.retention.seal_all();
  if (s.context.failure) clean = fail(*s.context.failure);
  if (clean) clean = co_await s.checkpointer.checkpoint(true);
  co_await s.committer.stop();
  co_await s.mover.stop();
  co_await s.journal.close();
  if (s.context.failure) co_return fail(*s.context.failure);
  co_return clean;
}

Task<Error> ShardLog::failed() {
  while (!state_->context.failure) co_await state_->context.failed.wait();
  co_return *state_->context.failure;
}

Task<Result<void>> ShardLog::create(GroupId group, LogSettings settings) {
  return state_->keeper.create(group, settings);
}

Result<void> ShardLog::check_room_for(std::size_t groups) const {
  return state_->keeper.check_room_for(groups);
}

Task<Result<void>> ShardLog::remove(GroupId group) {
  return state_->keeper.remove(group);
}

bool ShardLog::contains(GroupId group) const {
  return state_->context.find(group).has_value();
}

std::vector<GroupId> ShardLog::groups() const {
  std::vector<GroupId> ids;
  for (const auto& [id, group] : state_->context.groups) ids.push_back(id);
  return ids;
}

Result<void> ShardLog::configure(GroupId group, LogSettings settings) {
  TRY(const GroupRef found, state_->context.find(group));
  found->settings = settings;
  return {};
}

Task<Result<Appended>> ShardLog::append(GroupId group, Slice batch, std::uint32_t offset_count,
                                        AckLevel level, MonotonicTime deadline) {
  CO_TRY(GroupRef found, state_->context.find(group));
  co_return co_await state_->appender.append(std::move(found), Appender::batch_entry(batch, offset_count),
                                             level, deadline,
                                             group == k_metadata_group ? SpaceFor::own : SpaceFor::clients);
}

Task<Result<ReadResult>> ShardLog::read(GroupId group, Offset from, std::uint64_t max_bytes,
                                        FirstEntry first) {
  CO_TRY(GroupRef found, state_->context.find(group));
  co_return co_await state_->reader.read(std::move(found), from, max_bytes, first);
}

Task<Result<void>> ShardLog::wait_readable(GroupId group, Offset from, std::uint64_t min_bytes,
                                           MonotonicTime deadline) {
  CO_TRY(GroupRef found, state_->context.find(group));
  co_return co_await state_->reader.wait_readable(std::move(found), from, min_bytes, deadline);
}

void ShardLog::end_searches() {
  state_->reader.end_searches();
}

Task<Result<ShardLog::OffsetAt>> ShardLog::offset_for_timestamp(GroupId group, std::int64_t timestamp,
                                                                Offset from, MonotonicTime until) {
  CO_TRY(GroupRef found, state_->context.find(group));
  co_return co_await state_->reader.offset_for_timestamp(std::move(found), timestamp, from, until);
}

Task<Result<LogStart>> ShardLog::trim(GroupId group, Offset offset) {
  CO_TRY(GroupRef found, state_->context.find(group));
  co_return co_await state_->retention.trim(std::move(found), offset);
}

Task<Result<void>> ShardLog::truncate(GroupId group, Index last) {
  CO_TRY(GroupRef found, state_->context.find(group));
  co_return co_await state_->keeper.truncate(std::move(found), last);
}

Result<LogView> ShardLog::view(GroupId group) const {
  TRY(const GroupRef found, state_->context.find(group));
  return view_of(*found);
}

Result<LogSize> ShardLog::size(GroupId group) const {
  TRY(const GroupRef found, state_->context.find(group));
  return size_of(*found);
}

const LogCounters& ShardLog::counters() const {
  return state_->context.counters;
}

const LogLatencies& ShardLog::latencies() const {
  return state_->context.latencies;
}

}  // namespace millrace
