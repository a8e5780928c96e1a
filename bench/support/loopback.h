// References for the wire: two threads with an io_uring each, over loopback, that do nothing else.
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

// Round trips, one at a time; a question is answered as soon as all of it has arrived.
[[nodiscard]] Result<Percentiles> run_ping_pong(const PingPong& setup);

struct Stream {
  std::uint32_t message_size = 0;
  double seconds = 0;
  int server_cpu = 0, client_cpu = 0;
};

// Messages one after the other in one direction, from the client. Bytes a second, the time until the last one
// has been received included.
[[nodiscard]] Result<double> run_stream(const Stream& setup);

}  // namespace millrace::bench
