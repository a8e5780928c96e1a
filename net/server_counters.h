// What a shard's server counts and times, and how the shards' figures become one list with names.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/histogram.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/reactor.h"
#include "net/request_reader.h"

namespace millrace {

struct ServerCounters {
  std::uint64_t connections = 0;  // open now, or ended and their requests not done
  std::uint64_t accepted = 0;
  std::uint64_t requests = 0;
  std::uint64_t requests_failed = 0;  // answered with an error of the server's: it could not do it
  std::uint64_t requests_wrong = 0;   // answered with one of the caller's: no such topic, no valid batch
  std::uint64_t requests_hopped = 0;  // worked on by another shard
  std::uint64_t produce_requests = 0, produce_records = 0, produce_bytes = 0;
  std::uint64_t produce_unanswered_failures = 0;  // of those that asked for no acknowledgement
  std::uint64_t fetch_requests = 0, fetch_bytes = 0;
  std::uint64_t sends = 0, send_bytes = 0;
  std::uint64_t reading_paused = 0;  // a connection had too much under way, and its bytes had to wait
  // bounds reached
  std::uint64_t refused_connections = 0;  // too many
  std::uint64_t refused_requests = 0;     // too many under way, or no memory
  std::uint64_t closed_no_hello = 0;
  std::uint64_t closed_idle = 0;
  std::uint64_t closed_slow_writer = 0;
  std::uint64_t closed_slow_reader = 0;
  std::uint64_t closed_bad_frame = 0;  // strangers among them
  std::uint64_t closed_tls = 0, closed_http = 0, closed_kafka = 0;
  std::uint64_t closed_no_memory = 0;
  ReaderCounters reader;
};

struct ServerLatencies {
  Histogram produce;  // from the whole request to its answer in the queue
  Histogram fetch;    // the same, waiting included
  Histogram reply;    // from an answer in the empty queue to the socket having taken it
};

// Of one shard at one moment; merge() makes it the node's.
struct NodeFigures {
  ServerCounters server;
  ServerLatencies server_latencies;
  LogCounters log;
  LogLatencies log_latencies;
  ReactorCounters reactor;
  std::uint64_t topics = 0;  // the node's: taken from the shard that is asked
  std::uint64_t groups = 0;
  std::uint64_t requests_in_flight = 0;
  std::uint64_t request_bytes_in_flight = 0;
  std::uint64_t buffer_bytes = 0;

  void merge(const NodeFigures& other);
};

struct NamedCounter {
  std::string_view name;
  std::uint64_t value = 0;
};
struct NamedLatency {
  std::string_view name;
  const Histogram* histogram = nullptr;
};
// Names are stable; docs/protocol.md lists them. The histograms are those of `figures`.
[[nodiscard]] std::vector<NamedCounter> named_counters(const NodeFigures& figures);
[[nodiscard]] std::vector<NamedLatency> named_latencies(const NodeFigures& figures);

}  // namespace millrace
