// Mutex: one coroutine at a time, in order of arrival, within a shard.
#pragma once

#include "engine/reactor/task.h"
#include "engine/reactor/wait.h"
#include "engine/reactor/wait_until.h"

namespace millrace {

// `co_await mutex.lock(); ... mutex.unlock();` The lock is handed over to the longest waiter, so nobody
// overtakes. A waiter must not be destroyed while it waits.
class Mutex {
 public:
  explicit Mutex(Reactor& reactor) : waiters_(reactor) {}

  [[nodiscard]] bool try_lock() {
    if (locked_) return false;
    locked_ = true;
    return true;
  }
  Task<void> lock() {
    if (!try_lock()) co_await waiters_.wait();  // unlock() leaves it locked for whom it wakes
  }
  // False: it was not to be had until then.
  Task<bool> lock_until(MonotonicTime deadline) {
    if (try_lock()) co_return true;
    const bool woken = co_await WaitUntil(waiters_.reactor(), waiters_, deadline);
    co_return woken;
  }
  void unlock() {
    if (waiters_.empty()) {
      locked_ = false;
    } else {
      waiters_.wake_one();
    }
  }
  [[nodiscard]] bool locked() const { return locked_; }

 private:
  WaitQueue waiters_;
  bool locked_ = false;
};

}  // namespace millrace
