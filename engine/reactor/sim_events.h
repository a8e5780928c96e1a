// SimEvents: virtual time and everything that is going to happen in it.
//
// Events run in the order of (time, sequence), and sequence is the order of adding, so the order is total:
// two runs that add the same events run them alike. Time stands still while an event runs and jumps to the
// next one after it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/base/time.h"

namespace millrace {

class SimEvents {
 public:
  using Action = std::move_only_function<void()>;

  [[nodiscard]] MonotonicTime now() const { return now_; }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  // Time of the next event; k_never when there is none.
  [[nodiscard]] MonotonicTime next_time() const { return heap_.empty() ? k_never : heap_.front().time; }

  // A time that has passed means now: the event runs after those already due.
  void at(MonotonicTime time, Action action);
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }
  // Runs the next event; false when there is none.
  bool step();
  // Lets time pass without an event; not beyond next_time().
  void advance(MonotonicTime time);

  // A number that every event and every result folds into: two runs are the same run when it is equal.
  [[nodiscard]] std::uint64_t trace_hash() const { return trace_hash_; }
  void trace(std::uint64_t value) {
    trace_hash_ = (trace_hash_ ^ value) * 0x100000001b3 + (trace_hash_ >> 29);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  struct Event {
    MonotonicTime time;
    std::uint64_t sequence;
    Action action;
  };
  static bool later(const Event& a, const Event& b) {
    return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
  }
  std::vector<Event> heap_;
  MonotonicTime now_{std::chrono::seconds(1)};  // not 0, so that nobody takes it for "unset"
  std::uint64_t sequence_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t trace_hash_ = 0xcbf29ce484222325;
};

}  // namespace millrace
