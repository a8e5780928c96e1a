#include "engine/log/log_context.h"

#include <utility>

namespace millrace {

void LogContext::fail(Error error) {
  if (failure) return;
  error.code = ErrorCode::sync_failed;
  reactor.log(LogLevel::error, error.message);
  failure = std::move(error);
  failed.wake_all();
  space.wake_all();
  for (WaitQueue* queue : wake_on_failure) queue->wake_all();
  for (const auto& [id, group] : groups) group->wake_everybody();
}

void LogContext::tidy_soon(const GroupRef& group) {
  if (std::exchange(group->untidy, true)) return;
  untidy.push_back(group);
  untidy_added.wake_all();
}

Result<void> LogContext::refusal(const Group& group) const {
  if (failure) return millrace::fail(*failure);
  if (stopping)
    return millrace::fail(ErrorCode::shutting_down, "the log of group {} is stopping", group.id.value());
  if (group.removing) return millrace::fail(ErrorCode::not_found, "group {} was deleted", group.id.value());
  return {};
}

Result<GroupRef> LogContext::find(GroupId id) const {
  auto it = groups.find(id);
  if (it == groups.end() || it->second->removing) {
    return millrace::fail(ErrorCode::not_found, "this shard has no group {}", id.value());
  }
  return it->second;
}

}  // namespace millrace
