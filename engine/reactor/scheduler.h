// Which coroutines run next in a turn, and the tasks that the reactor owns.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "engine/reactor/reactor.h"
#include "engine/reactor/ring_queue.h"
#include "engine/reactor/task.h"

namespace millrace {

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
  // Leaves an empty handle in the waiter's place, which costs one store.
  void unschedule(Ticket ticket) {
    if (auto* handle = ((ticket & 1) != 0 ? yielded : ready).find(ticket >> 1)) *handle = {};
  }
  bool run();
  void destroy_tasks();

  RingQueue<std::coroutine_handle<>> ready;
  RingQueue<std::coroutine_handle<>> yielded;
  Root::promise_type* youngest = nullptr;

 private:
  void run_scheduled();
};

}  // namespace millrace
