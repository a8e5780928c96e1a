// MemoryBudget: bytes that may be held at once within a shard; whoever would go beyond it waits, in order.
#pragma once

#include <cstdint>
#include <utility>

#include "engine/reactor/mutex.h"
#include "engine/reactor/task.h"
#include "engine/reactor/wait.h"

namespace millrace {

class MemoryBudget;

// Bytes taken from a budget until this object goes.
class BudgetShare {
 public:
  BudgetShare() = default;
  BudgetShare(MemoryBudget& budget, std::uint64_t bytes) : budget_(&budget), bytes_(bytes) {}
  BudgetShare(BudgetShare&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
  BudgetShare& operator=(BudgetShare&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  inline ~BudgetShare();

 private:
  MemoryBudget* budget_ = nullptr;
  std::uint64_t bytes_ = 0;
};

class MemoryBudget {
 public:
  MemoryBudget(Reactor& reactor, std::uint64_t bytes_max)
      : turn_(reactor), freed_(reactor), bytes_max_(bytes_max) {}

  // Whether take() would give it at once.
  [[nodiscard]] bool has(std::uint64_t bytes) const { return !turn_.locked() && fits(bytes); }
  // has() must be true.
  [[nodiscard]] BudgetShare take_now(std::uint64_t bytes) {
    used_ += bytes;
    return {*this, bytes};
  }
  // More than there is in all is given when nobody else holds anything.
  Task<BudgetShare> take(std::uint64_t bytes) {
    if (!turn_.try_lock()) co_await turn_.lock();
    while (!fits(bytes)) co_await freed_.wait();
    BudgetShare share = take_now(bytes);
    turn_.unlock();
    co_return share;
  }
  [[nodiscard]] std::uint64_t used() const { return used_; }
  // Somebody waits for room.
  [[nodiscard]] bool is_waited_for() const { return turn_.locked(); }

 private:
  friend class BudgetShare;
  [[nodiscard]] bool fits(std::uint64_t bytes) const { return used_ == 0 || used_ + bytes <= bytes_max_; }

  Mutex turn_;       // held by the one that waits for room
  WaitQueue freed_;  // where it waits
  std::uint64_t bytes_max_;
  std::uint64_t used_ = 0;
};

inline BudgetShare::~BudgetShare() {
  if (budget_ == nullptr) return;
  budget_->used_ -= bytes_;
  budget_->freed_.wake_all();
}

}  // namespace millrace
