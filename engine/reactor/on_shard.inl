// Implementation of on_shard (wait.h).
//
// A call is shared by the waiting coroutine and by whatever carries the work at the moment: the message there, the task
// there, the message back. Each side touches only its own part, so that either may vanish first:
//   1. here:  the function is in the call, which is posted there; the waiter suspends
//   2. there: the function runs as a task of that shard and leaves its result in the call
//   3. here:  the message back looks whether somebody still waits, and schedules it
//
// The messages hold a reference to the call and little else, because what is larger than three words a Message
// keeps in memory that it allocates.
#pragma once

namespace millrace::on_shard_detail {

struct Nothing {};

// Freed where it was made (by the message back), so the free lists of both sides stay even.
template <class R, class Function>
struct Call {
  explicit Call(Function&& what) : function(std::in_place, std::move(what)) {}
  // Handed over with the message there, which takes it out.
  std::optional<Function> function;
  // There, then handed over with the message back.
  std::optional<std::conditional_t<std::is_void_v<R>, Nothing, R>> result;
  // Here.
  std::coroutine_handle<> waiter;
  Ticket ticket = 0;
};

template <class R, class Function>
struct Wait {
  std::shared_ptr<Call<R, Function>> call;
  Reactor& here;

  Wait(std::shared_ptr<Call<R, Function>> made, Reactor& reactor) : call(std::move(made)), here(reactor) {}
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
Task<void> run_there(Reactor& there, ShardId origin, std::shared_ptr<Call<R, Function>> call) {
  // On the shard where it runs, until it has ended: what it refers to goes where it was used.
  Function function = *std::move(call->function);
  call->function.reset();
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
  using Call = on_shard_detail::Call<R, Function>;
  on_shard_detail::Wait<R, Function> wait(make_recycled<Call>(std::move(function)), here);
  auto ask = [origin = here.shard(), call = wait.call](Reactor& there) mutable {
    there.spawn(on_shard_detail::run_there<R>(there, origin, std::move(call)));
  };
  static_assert(sizeof ask <= k_message_inline_size && std::is_nothrow_move_constructible_v<decltype(ask)>);
  here.post(target, std::move(ask));
  co_return co_await wait;
}

}  // namespace millrace
