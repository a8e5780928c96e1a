// Waiting for a queue, but not beyond a point in time.
#pragma once

#include <coroutine>

#include "engine/reactor/wait.h"

namespace millrace {

// `bool woken = co_await WaitUntil(reactor, queue, deadline);` false: the deadline came, and no wake that
// another might have had is lost. Await it in a statement of its own; like every wait, look again whether
// what was wanted is true, also after the deadline: a wake may come together with it.
class WaitUntil {
 public:
  WaitUntil(Reactor& reactor, WaitQueue& queue, MonotonicTime deadline)
      : waiter_(queue), timer_(reactor.sleep_until(deadline)) {}

  bool await_ready() const noexcept { return false; }
  // Whichever of the two comes first resumes the waiter; the other is taken back when this object goes.
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_.await_suspend(handle);
    timer_.await_suspend(handle);
  }
  bool await_resume() const { return waiter_.woken(); }

 private:
  WaitQueue::Waiter waiter_;
  Operation<void> timer_;
};

}  // namespace millrace
