#include "engine/reactor/sim_events.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"

namespace millrace {

void SimEvents::at(MonotonicTime time, Action action) {
  heap_.push_back({std::max(time, now_), sequence_++, std::move(action)});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

bool SimEvents::step() {
  if (heap_.empty()) return false;
  std::pop_heap(heap_.begin(), heap_.end(), later);
  Event event = std::move(heap_.back());
  heap_.pop_back();
  now_ = event.time;
  ++count_;
  trace(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  trace(event.sequence);
  event.action();
  return true;
}

void SimEvents::advance(MonotonicTime time) {
  CHECK(time >= now_ && time <= next_time());
  now_ = time;
}

}  // namespace millrace
