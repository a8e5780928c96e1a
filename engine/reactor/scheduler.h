// Which coroutines run next in a turn, and the tasks that the reactor owns.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace millrace {

// A queue of coroutines to resume. A place in it is named by its sequence, so that leaving it costs one
// store.
class ResumeQueue {
 public:
  [[nodiscard]] bool empty() const { return first_ == end_; }
  [[nodiscard]] std::uint64_t size() const { return end_ - first_; }
  std::uint64_t push(std::coroutine_handle<> handle);
  // Takes the first; an empty handle where somebody has left.
  std::coroutine_handle<> pop();
  void remove(std::uint64_t sequence);

 private:
  std::vector<std::coroutine_handle<>> ring_;  // a power of two; sequence s is at s mod size
  std::uint64_t first_ = 1;
  std::uint64_t end_ = 1;
};

struct Reactor::Scheduler {
  // The outermost coroutine of a spawned task: it frees itself at its end, and is in a list until then.
  struct Root {
    struct promise_type {
      explicit promise_type(Scheduler& owner, Task<void>& task);
      ~promise_type();
      promise_type(const promise_type&) = delete;
      promise_type& operator=(const promise_type&) = delete;
      static void* operator new(std::size_t size) { return allocate_frame(size); }
      static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
      Root get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_always initial_suspend() const noexcept { return {}; }
      std::suspend_never final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

      Scheduler& scheduler;
      promise_type* older;
      promise_type* younger = nullptr;
      Ticket start = 0;  // until it has begun
    };
    std::coroutine_handle<promise_type> handle;
  };

  static Root run_root(Scheduler& scheduler, Task<void> task);

  void spawn(Task<void> task);
  Ticket schedule(std::coroutine_handle<> handle) { return ready.push(handle) << 1; }
  Ticket schedule_yielded(std::coroutine_handle<> handle) { return (yielded.push(handle) << 1) | 1; }
  void unschedule(Ticket ticket) { ((ticket & 1) != 0 ? yielded : ready).remove(ticket >> 1); }
  bool run();
  void destroy_tasks();

  ResumeQueue ready;
  ResumeQueue yielded;
  Root::promise_type* youngest = nullptr;

 private:
  void run_scheduled();
};

}  // namespace millrace
