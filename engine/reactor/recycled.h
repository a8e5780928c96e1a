// Containers whose memory comes from the free lists of coroutine frames (frame_allocator.h), so that what is
// filled and emptied with every request allocates nothing in steady state. For short and for lasting things
// alike, on the thread that made them.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "engine/reactor/frame_allocator.h"

namespace millrace {

template <class T>
struct FrameMemory {
  using value_type = T;
  FrameMemory() = default;
  template <class U>
  FrameMemory(const FrameMemory<U>&) {}  // NOLINT: rebinding
  // A deque's map is of pointers.
  static constexpr std::size_t k_size = sizeof(T);  // NOLINT(bugprone-sizeof-expression)
  T* allocate(std::size_t n) { return static_cast<T*>(allocate_frame(n * k_size)); }
  void deallocate(T* p, std::size_t n) noexcept { free_frame(static_cast<void*>(p), n * k_size); }
  friend bool operator==(FrameMemory, FrameMemory) { return true; }
};

template <class T>
using RecycledVector = std::vector<T, FrameMemory<T>>;
template <class T>
using RecycledDeque = std::deque<T, FrameMemory<T>>;

template <class T, class... Arguments>
std::shared_ptr<T> make_recycled(Arguments&&... arguments) {
  return std::allocate_shared<T>(FrameMemory<T>(), std::forward<Arguments>(arguments)...);
}

}  // namespace millrace
