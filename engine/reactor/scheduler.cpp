#include "engine/reactor/scheduler.h"

#include <utility>

namespace millrace {

Reactor::Scheduler::Root::promise_type::promise_type(Scheduler& owner, Task<void>&)
    : scheduler(owner), older(owner.youngest) {
  if (older != nullptr) older->younger = this;
  owner.youngest = this;
}

Reactor::Scheduler::Root::promise_type::~promise_type() {
  if (start != 0) scheduler.unschedule(start);
  if (older != nullptr) older->younger = younger;
  (younger != nullptr ? younger->older : scheduler.youngest) = older;
}

Reactor::Scheduler::Root Reactor::Scheduler::run_root(Scheduler&, Task<void> task) {
  co_await std::move(task);
}

void Reactor::Scheduler::spawn(Task<void> task) {
  const Root root = run_root(*this, std::move(task));
  root.handle.promise().start = schedule(root.handle);
}

void Reactor::Scheduler::run_scheduled() {
  while (!ready.empty()) {
    if (auto handle = ready.pop()) handle.resume();
  }
}

bool Reactor::Scheduler::run() {
  run_scheduled();
  // Those that yield from here on belong to the next turn.
  for (auto count = yielded.size(); count > 0; --count) {
    if (auto handle = yielded.pop()) handle.resume();
  }
  run_scheduled();
  return !yielded.empty();
}

void Reactor::Scheduler::destroy_tasks() {
  while (youngest != nullptr) {
    std::coroutine_handle<Root::promise_type>::from_promise(*youngest).destroy();
  }
}

}  // namespace millrace
