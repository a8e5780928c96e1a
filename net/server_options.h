// What a server may be told; every bound has its reason and its default in limits.h.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/limits.h"
#include "engine/base/time.h"

namespace millrace {

// Of one shard's server.
struct ServerOptions {
  // Name and version, for clients to see.
  std::string server = "millrace";
  std::uint32_t connections_max = k_connections_max;
  std::uint32_t frame_size_max = k_frame_size_max;
  std::uint32_t requests_in_flight_max = k_requests_in_flight_max;  // a connection
  std::uint32_t requests_max = k_requests_max;                      // on all connections
  // Payloads under way that have a buffer of their own, below k_direct_size_min and from there on.
  std::uint64_t small_request_bytes_max = k_small_request_bytes_max;
  std::uint64_t large_request_bytes_max = k_large_request_bytes_max;
  std::uint64_t receive_bytes_max = k_receive_bytes_max;  // of receive blocks beyond one for each connection
  std::uint64_t send_queue_max = k_send_queue_max;        // a connection
  std::uint64_t answer_bytes_max = k_answer_bytes_max;    // all connections
  Duration hello_deadline = std::chrono::milliseconds(k_hello_deadline_ms);
  Duration idle_at_least = std::chrono::milliseconds(k_idle_at_least_ms);  // when others want its place
  Duration idle_timeout = std::chrono::milliseconds(k_idle_timeout_ms);
  Duration transfer_deadline = std::chrono::milliseconds(k_transfer_deadline_ms);
  std::uint64_t transfer_rate_min = k_transfer_rate_min;  // bytes a second
  Duration request_deadline = std::chrono::milliseconds(k_request_deadline_ms);
  Duration fetch_wait_max = std::chrono::milliseconds(k_fetch_wait_max_ms);
  Duration drain_deadline = std::chrono::milliseconds(k_drain_deadline_ms);
};

}  // namespace millrace
