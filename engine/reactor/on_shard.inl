// Implementation of on_shard (wait.h).
//
// A call is shared by the waiting coroutine and by whatever carries the work at the moment: the message there, the task
// there, the message back. Each side touches only its own part, so that either may vanish first:
//   1. here:  the call is posted there; the waiter suspends
//   2. there: the function runs as a task of that shard and leaves its result in the call
//   3. here:  the message back looks whether somebody still waits, and schedules it
#pragma once

namespace millrace::on_shard_detail {

struct Nothing {};

// Freed where it was made (by the message back), so the free lists of both sides stay even.
template <class R>
struct Call {
  // There, then handed over with the message back.
  std::optional<std::conditional_t<std::is_void_v<R>, Nothing, R>> result;
  // Here.
  std::coroutine_handle<> waiter;
  Ticket ticket = 0;
};

template <class R>
struct Wait {
  std::shared_ptr<Call<R>> call;
  Reactor& here;

  Wait(std::shared_ptr<Call<R>> made, Reactor& reactor) : call(std::move(made)), here(reactor) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() {
    if (call->ticket != 0) here.unschedule(call->ticket);
    call->waiter = {};
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) { call->waiter = handle; }
  R await_resume() {
    call->ticket = 0;
    if constexpr (!std::is_void_v<R>) return *std::move(call->result);
  }
};

template <class R, class Function>
Task<void> run_there(Reactor& there, ShardId origin, std::shared_ptr<Call<R>> call, Function function) {
  if constexpr (std::is_void_v<R>) {
    co_await function(there);
    call->result.emplace();
  } else {
    call->result.emplace(co_await function(there));
  }
  there.post(origin, [call = std::move(call)](Reactor& here) {
    if (call->waiter) call->ticket = here.schedule(std::exchange(call->waiter, {}));
  });
}

}  // namespace millrace::on_shard_detail

namespace millrace {

template <class Function>
auto on_shard(Reactor& here, ShardId target, Function function) -> std::invoke_result_t<Function&, Reactor&> {
  using R = typename std::invoke_result_t<Function&, Reactor&>::Value;
  using Call = on_shard_detail::Call<R>;
  on_shard_detail::Wait<R> wait(make_recycled<Call>(), here);
  here.post(target, [origin = here.shard(), call = wait.call, function = std::move(function)](Reactor& there) mutable {
    there.spawn(on_shard_detail::run_there<R>(there, origin, std::move(call), std::move(function)));
  });
  co_return co_await wait;
}

}  // namespace millrace
