// Status: figures of all shards under their names.
#include <string>
#include <utility>
#include <vector>

#include "net/handlers.h"

namespace millrace {
namespace {

NodeFigures figures_of(const ShardContext& context) {
  NodeFigures figures{
      .server = context.counters,
      .server_latencies = context.latencies,
      .log = context.log.counters(),
      .log_latencies = context.log.latencies(),
      .reactor = context.reactor.counters(),
      .topics = context.topics.all().size(),
      .groups = context.log.groups().size(),
      .requests_in_flight = context.requests_in_flight,
      .request_bytes_in_flight = context.small_requests.used() + context.large_requests.used(),
      .buffer_bytes = context.reactor.buffers().bytes_in_use(),
  };
  return figures;
}

std::uint64_t nanoseconds(Duration duration) {
  return static_cast<std::uint64_t>(duration.count());
}

using Counters = flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<wire::Counter>>>;
using Latencies = flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<wire::LatencySummary>>>;

Counters counters_to_wire(flatbuffers::FlatBufferBuilder& builder, const NodeFigures& figures) {
  std::vector<flatbuffers::Offset<wire::Counter>> counters;
  for (const NamedCounter& counter : named_counters(figures)) {
    const auto name = builder.CreateString(counter.name.data(), counter.name.size());
    counters.push_back(wire::CreateCounter(builder, name, counter.value));
  }
  return builder.CreateVector(counters);
}

Latencies latencies_to_wire(flatbuffers::FlatBufferBuilder& builder, const NodeFigures& figures) {
  std::vector<flatbuffers::Offset<wire::LatencySummary>> latencies;
  for (const auto& [name, histogram] : named_latencies(figures)) {
    const auto text = builder.CreateString(name.data(), name.size());
    const auto at = [&](double percent) { return nanoseconds(histogram->percentile(percent)); };
    latencies.push_back(wire::CreateLatencySummary(builder, text, histogram->count(), at(50), at(90), at(99),
                                                   at(99.9), nanoseconds(histogram->max())));
  }
  return builder.CreateVector(latencies);
}

// On the heap: the histograms are too large for the frames of coroutines.
Task<std::unique_ptr<NodeFigures>> gather(ShardContext& context) {
  auto sum = std::make_unique<NodeFigures>(figures_of(context));
  for (std::uint32_t i = 0; i < context.reactor.shard_count(); ++i) {
    if (ShardId{i} == context.reactor.shard()) continue;
    const auto theirs = co_await on_shard(
        context.reactor, ShardId{i},
        [&shards = context.shards](Reactor& there) -> Task<std::unique_ptr<NodeFigures>> {
          co_return std::make_unique<NodeFigures>(figures_of(ShardContext::of(shards, there)));
        });
    sum->merge(*theirs);
  }
  co_return sum;
}

}  // namespace

Task<void> handle_status(Reply reply, InboundRequest& request) {
  ShardContext& context = reply.context();
  if (const auto table = verified<wire::Status>(request.table.bytes()); !table)
    co_return reply.fail(table.error());
  const auto figures = co_await gather(context);
  auto& builder = reply.builder();
  const wire::Id cluster = to_wire(context.node.cluster);
  const auto uptime = std::chrono::floor<std::chrono::milliseconds>(context.reactor.now() - context.started);
  const auto server = builder.CreateString(context.options.server);
  const auto data = builder.CreateString(context.node.data);
  const auto counters = counters_to_wire(builder, *figures);
  const auto latencies = latencies_to_wire(builder, *figures);
  reply.send(wire::CreateStatusAnswer(builder, server, &cluster, context.node.node.value(),
                                      context.reactor.shard_count(),
                                      static_cast<std::uint64_t>(uptime.count()), data, counters, latencies));
}

}  // namespace millrace
