// Background: a task beside its owner, which takes it back when it goes.
#pragma once

#include <coroutine>
#include <utility>

#include "engine/reactor/task.h"

namespace millrace {

// Begins at once, before the constructor returns. Destroying the object destroys the task, finished or not,
// and so cancels what it waits for. For watchers that end only with what they watch; the task must not
// destroy its own Background.
class Background {
 public:
  Background() = default;
  explicit Background(Task<void> task) : handle_(task.release()) { handle_.resume(); }
  Background(Background&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Background& operator=(Background&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Background() { reset(); }
  void reset() {
    if (handle_) std::exchange(handle_, {}).destroy();
  }

 private:
  std::coroutine_handle<> handle_;
};

}  // namespace millrace
