// Waiting inside one shard: a queue of coroutines, a gate that counts tasks, and work on another shard.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>

#include "engine/reactor/reactor.h"
#include "engine/reactor/recycled.h"
#include "engine/reactor/task.h"

namespace millrace {

// Coroutines that wait for something to change, in order of arrival. `co_await queue.wait()` returns after
// the next wake; the waiter looks again whether what it wants is true. A waiter that is destroyed leaves the
// queue by itself; one that had been woken but not yet run takes its wake with it, so whoever may be
// destroyed while it waits is woken by wake_all().
class WaitQueue {
 public:
  explicit WaitQueue(Reactor& reactor) : reactor_(reactor) {}
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;
  ~WaitQueue() { CHECK(first_ == nullptr, "a wait queue is destroyed under its waiters"); }

  class Waiter {
   public:
    explicit Waiter(WaitQueue& queue) : queue_(queue), reactor_(queue.reactor_) {}
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter();
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle);
    void await_resume() noexcept { state_ = State::idle; }
    // Before it is resumed.
    [[nodiscard]] bool woken() const { return state_ == State::woken; }

   private:
    friend class WaitQueue;
    WaitQueue& queue_;
    Reactor& reactor_;
    Waiter* next_ = nullptr;
    Waiter* previous_ = nullptr;
    std::coroutine_handle<> handle_;
    Ticket ticket_ = 0;
    enum class State : std::uint8_t { idle, queued, woken } state_ = State::idle;
  };

  [[nodiscard]] Waiter wait() { return Waiter(*this); }
  void wake_one();
  void wake_all();
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  [[nodiscard]] Reactor& reactor() const { return reactor_; }

 private:
  void remove(Waiter& waiter);
  Reactor& reactor_;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

// Counts tasks under way so that their owner can wait for them. After close() no new one enters.
class Gate {
 public:
  explicit Gate(Reactor& reactor) : reactor_(reactor), idle_(reactor) {}
  // Spawns the task and counts it; false (and the task is dropped) once closed.
  bool spawn(Task<void> task);
  // Refuses new tasks and returns when the last one has ended.
  Task<void> close();
  // Returns when the last one has ended, leaving the gate open.
  Task<void> wait();
  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  Task<void> run(Task<void> task);
  Reactor& reactor_;
  WaitQueue idle_;
  std::uint32_t count_ = 0;
  bool closed_ = false;
};

// Runs `function(Reactor& there)`, which returns a Task<R>, on another shard, and gives its R back here: one
// hop there, one back. If the waiting coroutine is destroyed meanwhile, the work there still finishes and its
// result is dropped. If the other shard stops first, the waiter is never resumed: it goes with its own
// reactor.
template <class Function>
auto on_shard(Reactor& here, ShardId target, Function function) -> std::invoke_result_t<Function&, Reactor&>;

}  // namespace millrace

#include "engine/reactor/on_shard.inl"
