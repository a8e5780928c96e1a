#include "net/shard_context.h"

#include <fmt/format.h>

namespace millrace {

void ShardContext::log_seldom(LogLevel level, const std::string& line) {
  if (logged_at_ && reactor.now() - *logged_at_ < std::chrono::seconds(1)) {
    ++unlogged_;
    return;
  }
  logged_at_ = reactor.now();
  reactor.log(level,
              unlogged_ == 0 ? line : fmt::format("{} ({} lines like this were left out)", line, unlogged_));
  unlogged_ = 0;
}

}  // namespace millrace
