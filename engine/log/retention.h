// Retention: seals what is complete, and lets the beginning of a log go: on request (trim), by size and by
// age. It looks at every group once in an interval, and at once at those that LogContext::tidy_soon() names.
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
        gate_(context.reactor) {
    context.wake_on_failure.push_back(&context.untidy_added);
  }

  void start() { gate_.spawn(run()); }
  Task<void> stop();
  // Seals what this start has written and is complete; after stop(). What cannot be sealed does no harm.
  Task<void> seal_all();

  // See ShardLog::trim.
  Task<Result<LogStart>> trim(GroupRef group, Offset offset);

 private:
  Task<void> run();
  // One look at one group, unless it is being removed. A log that cannot be tidied now is still a good log:
  // the next round tries again.
  enum class Look : std::uint8_t { all, known };  // known: seals segments that nothing has to be read of
  Task<void> look_after(GroupRef group, Look look);
  // Seals, ages, trims and removes what is due.
  Task<Result<void>> tend(GroupRef group);
  // These groups once.
  Task<void> look_after_all(std::vector<GroupRef> groups);
  [[nodiscard]] std::vector<GroupRef> all_groups() const;
  Task<Result<void>> seal_rolled(GroupRef group, Look look);
  Task<Result<void>> roll_aged(GroupRef group);
  Task<Result<void>> apply_limits(GroupRef group);
  Task<Result<void>> remove_before_start(GroupRef group);
  LogContext& context_;
  Appender& appender_;
  LogReader& reader_;
  Checkpointer& checkpointer_;
  Gate gate_;
  bool stopping_ = false;
};

}  // namespace millrace
