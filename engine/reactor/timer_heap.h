// Timers of one shard: a binary heap of operations by time, from which any of them can be taken out again,
// because nearly every deadline is removed before it comes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/time.h"

namespace millrace {

class TimerHeap {
 public:
  // At most one timer a slot.
  void add(std::uint32_t slot, MonotonicTime time);
  void remove(std::uint32_t slot);  // harmless when there is none
  // Takes out the earliest that is not later than `now`; of equal times the one added first.
  std::optional<std::uint32_t> pop_due(MonotonicTime now);
  // k_never when there are none.
  [[nodiscard]] MonotonicTime next() const { return heap_.empty() ? k_never : heap_.front().time; }

 private:
  struct Timer {
    MonotonicTime time;
    std::uint64_t sequence;
    std::uint32_t slot;
    friend bool operator<(const Timer& a, const Timer& b) {
      return a.time != b.time ? a.time < b.time : a.sequence < b.sequence;
    }
  };
  static constexpr std::uint32_t k_absent = UINT32_MAX;
  void put(std::size_t at, Timer timer);
  void rise(std::size_t at, Timer timer);
  void sink(std::size_t at, Timer timer);
  void remove_at(std::size_t at);

  std::vector<Timer> heap_;
  std::vector<std::uint32_t> places_;  // by slot: where its timer is in the heap
  std::uint64_t sequence_ = 0;
};

}  // namespace millrace
