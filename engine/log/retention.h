// Retention: seals what is complete, and lets the beginning of a log go: on request (trim), by size and by
// age.
#pragma once

#include "engine/log/appender.h"
#include "engine/log/checkpointer.h"
#include "engine/log/log_context.h"
#include "engine/log/log_reader.h"

namespace millrace {

class Retention {
 public:
  Retention(LogContext& context, Appender& appender, LogReader& reader, Checkpointer& checkpointer)
      : context_(context),
        appender_(appender),
        reader_(reader),
        checkpointer_(checkpointer),
        wake_(context.reactor),
        gate_(context.reactor) {
    context.wake_on_failure.push_back(&wake_);
  }

  void start() { gate_.spawn(run()); }
  Task<void> stop();

  // See ShardLog::trim.
  Task<Result<LogStart>> trim(GroupRef group, Offset offset);

 private:
  Task<void> run();
  // One look at one group, unless it is being removed.
  Task<Result<void>> look_after(GroupRef group);
  // Seals, ages, trims and removes what is due.
  Task<Result<void>> tend(GroupRef group);
  // Every group once.
  Task<void> round();
  Task<void> restore_ballast();
  Task<Result<void>> seal_rolled(GroupRef group);
  Task<Result<void>> roll_aged(GroupRef group);
  Task<Result<void>> apply_limits(GroupRef group);
  Task<Result<void>> remove_before_start(GroupRef group);
  LogContext& context_;
  Appender& appender_;
  LogReader& reader_;
  Checkpointer& checkpointer_;
  WaitQueue wake_;
  Gate gate_;
  bool stopping_ = false;
};

}  // namespace millrace
