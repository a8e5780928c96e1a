// The reference for a request: a bare ping-pong over loopback, two threads with an io_uring each, the
// question answered as soon as all of it has arrived.
#pragma once

#include <cstdint>

#include "bench/support/samples.h"
#include "engine/base/error.h"

namespace millrace::bench {

struct PingPong {
  std::uint32_t question_size = 0, answer_size = 0;
  double seconds = 0;
  int server_cpu = 0, client_cpu = 0;
};

// Round trips, one at a time.
[[nodiscard]] Result<Percentiles> run_ping_pong(const PingPong& setup);

}  // namespace millrace::bench
