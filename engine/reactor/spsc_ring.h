// A bounded queue between two threads: one pushes, one pops, neither waits for the other.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

#include "engine/base/check.h"

namespace millrace {

template <class T>
class SpscRing {
 public:
  explicit SpscRing(std::size_t capacity) : slots_(std::make_unique<T[]>(capacity)), capacity_(capacity) {
    CHECK(std::has_single_bit(capacity), "capacity {} is no power of two", capacity);
  }

  // The producer's. Leaves `value` alone and returns false when the ring is full.
  bool push(T& value) {
    const std::size_t end = end_.load(std::memory_order_relaxed);
    if (end - first_seen_ == capacity_) {
      first_seen_ = first_.load(std::memory_order_acquire);
      if (end - first_seen_ == capacity_) return false;
    }
    slots_[end & (capacity_ - 1)] = std::move(value);
    end_.store(end + 1, std::memory_order_release);
    return true;
  }

  // The consumer's. False when the ring is empty.
  bool pop(T& value) {
    const std::size_t first = first_.load(std::memory_order_relaxed);
    if (first == end_seen_) {
      end_seen_ = end_.load(std::memory_order_acquire);
      if (first == end_seen_) return false;
    }
    value = std::exchange(slots_[first & (capacity_ - 1)], T{});
    first_.store(first + 1, std::memory_order_release);
    return true;
  }
  // The consumer's: whether a push has become visible.
  [[nodiscard]] bool empty() const {
    return first_.load(std::memory_order_relaxed) == end_.load(std::memory_order_acquire);
  }

 private:
  std::unique_ptr<T[]> slots_;
  const std::size_t capacity_;
  // Each side's index on a line of its own, beside the last value it has seen of the other's.
  alignas(64) std::atomic<std::size_t> end_{0};
  std::size_t first_seen_ = 0;
  alignas(64) std::atomic<std::size_t> first_{0};
  std::size_t end_seen_ = 0;
};

}  // namespace millrace
