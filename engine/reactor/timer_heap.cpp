#include "engine/reactor/timer_heap.h"

#include <algorithm>

#include "engine/base/check.h"

namespace millrace {

void TimerHeap::put(std::size_t at, Timer timer) {
  heap_[at] = timer;
  places_[timer.slot] = static_cast<std::uint32_t>(at);
}

void TimerHeap::rise(std::size_t at, Timer timer) {
  while (at > 0) {
    const std::size_t parent = (at - 1) / 2;
    if (!(timer < heap_[parent])) break;
    put(at, heap_[parent]);
    at = parent;
  }
  put(at, timer);
}

void TimerHeap::sink(std::size_t at, Timer timer) {
  for (;;) {
    std::size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
    if (!(heap_[child] < timer)) break;
    put(at, heap_[child]);
    at = child;
  }
  put(at, timer);
}

void TimerHeap::add(std::uint32_t slot, MonotonicTime time) {
  if (slot >= places_.size()) places_.resize(std::max<std::size_t>(slot + 1, places_.size() * 2), k_absent);
  CHECK(places_[slot] == k_absent, "slot {} has a timer already", slot);
  heap_.emplace_back();
  rise(heap_.size() - 1, {time, sequence_++, slot});
}

void TimerHeap::remove(std::uint32_t slot) {
  if (slot < places_.size() && places_[slot] != k_absent) remove_at(places_[slot]);
}

void TimerHeap::remove_at(std::size_t at) {
  places_[heap_[at].slot] = k_absent;
  const Timer last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  if (at > 0 && last < heap_[(at - 1) / 2]) {
    rise(at, last);
  } else {
    sink(at, last);
  }
}

std::optional<std::uint32_t> TimerHeap::pop_due(MonotonicTime now) {
  if (heap_.empty() || heap_.front().time > now) return std::nullopt;
  const std::uint32_t slot = heap_.front().slot;
  remove_at(0);
  return slot;
}

}  // namespace millrace
