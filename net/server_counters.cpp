#include "net/server_counters.h"

#include <algorithm>
#include <array>

namespace millrace {
namespace {

enum class Sum : std::uint8_t { shards, node };  // node: every shard has the node's figure

struct CounterRow {
  std::string_view name;
  std::uint64_t& (*value)(NodeFigures&);
  Sum sum = Sum::shards;
};

#define FIGURE(member) ([](NodeFigures& f) -> std::uint64_t& { return f.member; })
constexpr auto k_counters = std::to_array<CounterRow>({
    {"topics", FIGURE(topics), Sum::node},
    {"groups", FIGURE(groups)},
    {"connections", FIGURE(server.connections)},
    {"connections_accepted", FIGURE(server.accepted)},
    {"connections_refused", FIGURE(server.refused_connections)},
    {"requests", FIGURE(server.requests)},
    {"requests_failed", FIGURE(server.requests_failed)},
    {"requests_wrong", FIGURE(server.requests_wrong)},
    {"requests_hopped", FIGURE(server.requests_hopped)},
    {"requests_refused", FIGURE(server.refused_requests)},
    {"requests_in_flight", FIGURE(requests_in_flight)},
    {"request_bytes_in_flight", FIGURE(request_bytes_in_flight)},
    {"produce_requests", FIGURE(server.produce_requests)},
    {"produce_records", FIGURE(server.produce_records)},
    {"produce_bytes", FIGURE(server.produce_bytes)},
    {"produce_unanswered_failures", FIGURE(server.produce_unanswered_failures)},
    {"fetch_requests", FIGURE(server.fetch_requests)},
    {"fetch_bytes", FIGURE(server.fetch_bytes)},
    {"receives", FIGURE(server.reader.receives)},
    {"bytes_received", FIGURE(server.reader.bytes_received)},
    {"payloads_in_place", FIGURE(server.reader.payloads_in_place)},
    {"payload_bytes_in_place", FIGURE(server.reader.payload_bytes_in_place)},
    {"payload_bytes_copied", FIGURE(server.reader.payload_bytes_copied)},
    {"sends", FIGURE(server.sends)},
    {"bytes_sent", FIGURE(server.send_bytes)},
    {"reading_paused", FIGURE(server.reading_paused)},
    {"closed_no_hello", FIGURE(server.closed_no_hello)},
    {"closed_idle", FIGURE(server.closed_idle)},
    {"closed_slow_writer", FIGURE(server.closed_slow_writer)},
    {"closed_slow_reader", FIGURE(server.closed_slow_reader)},
    {"closed_bad_frame", FIGURE(server.closed_bad_frame)},
    {"closed_tls", FIGURE(server.closed_tls)},
    {"closed_http", FIGURE(server.closed_http)},
    {"closed_kafka", FIGURE(server.closed_kafka)},
    {"closed_no_memory", FIGURE(server.closed_no_memory)},
    {"log_appends", FIGURE(log.appends)},
    {"log_append_bytes", FIGURE(log.append_bytes)},
    {"log_duplicates", FIGURE(log.duplicates)},
    {"log_refused_sequences", FIGURE(log.refused_sequences)},
    {"log_commits", FIGURE(log.commits)},
    {"log_commit_bytes", FIGURE(log.commit_bytes)},
    {"log_direct_extents", FIGURE(log.direct_extents)},
    {"log_direct_bytes", FIGURE(log.direct_bytes)},
    {"log_direct_bytes_copied", FIGURE(log.direct_bytes_copied)},
    {"log_moved_extents", FIGURE(log.moved_extents)},
    {"log_moved_bytes", FIGURE(log.moved_bytes)},
    {"log_checkpoints", FIGURE(log.checkpoints)},
    {"log_segments_created", FIGURE(log.segments_created)},
    {"log_segments_sealed", FIGURE(log.segments_sealed)},
    {"log_segments_removed", FIGURE(log.segments_removed)},
    {"log_reads_memory", FIGURE(log.reads_memory)},
    {"log_reads_cold", FIGURE(log.reads_cold)},
    {"log_read_bytes_memory", FIGURE(log.read_bytes_memory)},
    {"log_read_bytes_cold", FIGURE(log.read_bytes_cold)},
    {"log_refused_disk_full", FIGURE(log.refused_disk_full)},
    {"reactor_turns", FIGURE(reactor.turns)},
    {"reactor_operations", FIGURE(reactor.operations)},
    {"reactor_operations_queued", FIGURE(reactor.operations_queued)},
    {"reactor_messages", FIGURE(reactor.messages)},
    {"buffer_bytes", FIGURE(buffer_bytes)},
});
#undef FIGURE

struct LatencyRow {
  std::string_view name;
  Histogram& (*value)(NodeFigures&);
};

#define FIGURE(member) ([](NodeFigures& f) -> Histogram& { return f.member; })
constexpr auto k_latencies = std::to_array<LatencyRow>({
    {"produce", FIGURE(server_latencies.produce)},
    {"fetch", FIGURE(server_latencies.fetch)},
    {"queue", FIGURE(log_latencies.queue)},
    {"write", FIGURE(log_latencies.write)},
    {"append", FIGURE(log_latencies.append)},
    {"reply", FIGURE(server_latencies.reply)},
});
#undef FIGURE

// The tables read, and merge() writes, through the same functions.
NodeFigures& writable(const NodeFigures& figures) {
  return const_cast<NodeFigures&>(figures);
}

}  // namespace

void NodeFigures::merge(const NodeFigures& other) {
  for (const CounterRow& row : k_counters) {
    const std::uint64_t theirs = row.value(writable(other));
    std::uint64_t& ours = row.value(*this);
    ours = row.sum == Sum::shards ? ours + theirs : std::max(ours, theirs);
  }
  for (const LatencyRow& row : k_latencies) row.value(*this).merge(row.value(writable(other)));
}

std::vector<NamedCounter> named_counters(const NodeFigures& figures) {
  std::vector<NamedCounter> named;
  named.reserve(k_counters.size());
  for (const CounterRow& row : k_counters) named.push_back({row.name, row.value(writable(figures))});
  return named;
}

std::vector<NamedLatency> named_latencies(const NodeFigures& figures) {
  std::vector<NamedLatency> named;
  for (const LatencyRow& row : k_latencies) named.push_back({row.name, &row.value(writable(figures))});
  return named;
}

}  // namespace millrace
