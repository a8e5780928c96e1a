#include "engine/reactor/wait.h"

#include <utility>

namespace millrace {

WaitQueue::Waiter::~Waiter() {
  if (state_ == State::queued) queue_.remove(*this);
  // The queue may be gone by now: woken waiters are not in it.
  if (state_ == State::woken) reactor_.unschedule(ticket_);
}

void WaitQueue::Waiter::await_suspend(std::coroutine_handle<> handle) {
  handle_ = handle;
  state_ = State::queued;
  previous_ = queue_.last_;
  next_ = nullptr;
  (previous_ != nullptr ? previous_->next_ : queue_.first_) = this;
  queue_.last_ = this;
}

void WaitQueue::remove(Waiter& waiter) {
  (waiter.previous_ != nullptr ? waiter.previous_->next_ : first_) = waiter.next_;
  (waiter.next_ != nullptr ? waiter.next_->previous_ : last_) = waiter.previous_;
  waiter.state_ = Waiter::State::idle;
}

void WaitQueue::wake_one() {
  if (first_ == nullptr) return;
  Waiter& waiter = *first_;
  remove(waiter);
  waiter.state_ = Waiter::State::woken;
  waiter.ticket_ = reactor_.schedule(waiter.handle_);
}

void WaitQueue::wake_all() {
  while (first_ != nullptr) wake_one();
}

bool Gate::spawn(Task<void> task) {
  if (closed_) return false;
  ++count_;
  reactor_.spawn(run(std::move(task)));
  return true;
}

Task<void> Gate::run(Task<void> task) {
  co_await std::move(task);
  if (--count_ == 0) idle_.wake_all();
}

Task<void> Gate::wait() {
  while (count_ != 0) co_await idle_.wait();
}

Task<void> Gate::close() {
  closed_ = true;
  co_await wait();
}

}  // namespace millrace
