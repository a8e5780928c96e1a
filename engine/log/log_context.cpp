#include "engine/log/log_context.h"

namespace millrace {

void LogContext::fail(Error error) {
  if (failure) return;
  reactor.log(LogLevel::error, error.message);
  failure = std::move(error);
  failed.wake_all();
  space.wake_all();
  for (WaitQueue* queue : wake_on_failure) queue->wake_all();
  for (const auto& [id, group] : groups) group->wake_everybody();
}

Result<GroupRef> LogContext::find(GroupId id) const {
  auto it = groups.find(id);
  if (it == groups.end() || it->second->removing) {
    return millrace::fail(ErrorCode::not_found, "this shard has no group {}", id.value());
  }
  return it->second;
}

}  // namespace millrace
