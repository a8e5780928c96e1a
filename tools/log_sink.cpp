#include "tools/log_sink.h"

#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace millrace::tools {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

LogSink make_log_sink(LogLevel level) {
  auto logger =
      std::make_shared<spdlog::logger>("millrace", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(spdlog_level(level));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  logger->flush_on(spdlog::level::debug);
  return [logger](LogLevel of, ShardId shard, WallTime time, const std::string& line) {
    const spdlog::log_clock::time_point when{std::chrono::milliseconds(time.milliseconds)};
    logger->log(when, spdlog::source_loc{}, spdlog_level(of),
                fmt::format("shard {}: {}", shard.value(), line));
  };
}

}  // namespace millrace::tools
