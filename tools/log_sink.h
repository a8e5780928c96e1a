// The engine's log lines on standard error, one line an event, through spdlog.
#pragma once

#include "engine/reactor/reactor.h"

namespace millrace::tools {

// Lines below `level` are dropped. May be called from every shard's thread.
[[nodiscard]] LogSink make_log_sink(LogLevel level);

}  // namespace millrace::tools
