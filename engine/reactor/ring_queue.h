// A first-in first-out queue that allocates only when it is longer than ever before. Every element has a
// sequence number, by which it can be found while it waits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace millrace {

template <class T>
class RingQueue {
 public:
  [[nodiscard]] bool empty() const { return first_ == end_; }
  [[nodiscard]] std::uint64_t size() const { return end_ - first_; }

  // Returns the element's sequence number; they count from 1.
  std::uint64_t push(T value) {
    if (size() == ring_.size()) enlarge();
    ring_[place(end_)] = std::move(value);
    return end_++;
  }
  T pop() { return std::exchange(ring_[place(first_++)], T{}); }
  [[nodiscard]] T& front() { return ring_[place(first_)]; }
  // The element with this sequence, or nullptr when it has left.
  [[nodiscard]] T* find(std::uint64_t sequence) {
    return sequence >= first_ && sequence < end_ ? &ring_[place(sequence)] : nullptr;
  }

 private:
  [[nodiscard]] std::size_t place(std::uint64_t sequence) const { return sequence & (ring_.size() - 1); }
  void enlarge() {
    std::vector<T> larger(std::max<std::size_t>(64, ring_.size() * 2));
    for (auto s = first_; s != end_; ++s) larger[s & (larger.size() - 1)] = std::move(ring_[place(s)]);
    ring_ = std::move(larger);
  }

  std::vector<T> ring_;  // its size is a power of two
  std::uint64_t first_ = 1;
  std::uint64_t end_ = 1;
};

}  // namespace millrace
