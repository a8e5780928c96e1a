// Points in time as the reactor hands them out; nothing here reads a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace millrace {

using Duration = std::chrono::nanoseconds;

// Never goes back, starts anywhere: for timers, timeouts and latencies. Only a Reactor makes one.
struct MonotonicClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClock, Duration>;
};
using MonotonicTime = MonotonicClock::time_point;
inline constexpr MonotonicTime k_never = MonotonicTime::max();

// Milliseconds since 1970-01-01 UTC, as record timestamps hold it. May jump.
struct WallTime {
  std::int64_t milliseconds = 0;
  friend constexpr auto operator<=>(WallTime, WallTime) = default;
};

}  // namespace millrace
