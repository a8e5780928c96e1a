// Checkpointer: writes every group's state into the journal so that older commits are not needed and their
// files can be used again.
#pragma once

#include "engine/log/committer.h"
#include "engine/log/journal.h"
#include "engine/log/log_context.h"
#include "engine/log/mover.h"
#include "engine/reactor/mutex.h"

namespace millrace {

class Checkpointer {
 public:
  Checkpointer(LogContext& context, Journal& journal, Committer& committer, Mover& mover)
      : context_(context),
        journal_(journal),
        committer_(committer),
        mover_(mover),
        one_at_a_time_(context.reactor),
        gate_(context.reactor) {}

  void start() { gate_.spawn(run()); }
  Task<void> stop();
  // Moves everything durable into segments and writes a checkpoint. `clean`: the last thing this start
  // writes; segments may stay open.
  Task<Result<void>> checkpoint(bool clean);

 private:
  Task<void> run();
  Task<Result<void>> write(bool clean);
  [[nodiscard]] bool due() const;
  LogContext& context_;
  Journal& journal_;
  Committer& committer_;
  Mover& mover_;
  Mutex one_at_a_time_;
  Gate gate_;
  bool stopping_ = false;
};

}  // namespace millrace
