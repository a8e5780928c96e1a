#include "fuzz/node_logs.h"

#include <memory>
#include <vector>

#include "engine/base/check.h"
#include "tests/reactor/serving_shards.h"

namespace millrace::fuzz {

Task<void> NodeMachine::start_shards(NodeLogs& logs) {
  logs.shards.resize(options.shards);
  for (std::uint32_t i = 0; i < options.shards; ++i) {
    const auto started =
        co_await on_shard(logs.reactor, ShardId{i}, [this, &logs, i](Reactor& there) -> Task<Result<void>> {
          logs.shards[i] = std::make_unique<ShardLog>(there, DataFolder(options.folder), logs.node.identity,
                                                      logs.node.journals[i], logs.node.groups[i],
                                                      logs.node.ballast, log_options);
          return logs.shards[i]->start();
        });
    CHECK(started, "shard {} does not start: {}", i, started.error().message);
  }
}

Task<void> NodeMachine::stop_shards(NodeLogs& logs) {
  for (std::uint32_t i = 0; i < options.shards; ++i) {
    const auto stopped =
        co_await on_shard(logs.reactor, ShardId{i}, [&logs, i](Reactor&) { return logs.shards[i]->stop(); });
    CHECK(stopped, "shard {} does not stop: {}", i, stopped.error().message);
    co_await on_shard(logs.reactor, ShardId{i}, [&logs, i](Reactor&) -> Task<void> {
      logs.shards[i].reset();
      co_return;
    });
  }
}

Task<void> NodeMachine::main(Reactor& reactor, const Script& script, End end) {
  NodeLogs logs{reactor, {}, {}};
  auto opened = co_await open_node(reactor, options);
  if (!opened) {
    outcome_ = fail(std::move(opened).error());
    co_return;
  }
  logs.node = *std::move(opened);
  co_await start_shards(logs);
  co_await script(logs);
  if (end != End::stopped) {
    world_.after(Duration(0),
                 [this, end] { end == End::killed ? node_.kill() : node_.power_cut(SimCut::drop_all); });
    co_await reactor.sleep_until(k_never);
  }
  co_await stop_shards(logs);
}

Result<void> NodeMachine::run(const Script& script, End end) {
  outcome_ = {};
  std::vector<ShardEnding> endings(options.shards);
  node_.start(options.shards, [&, end](Reactor& reactor) {
    const std::uint32_t shard = reactor.shard().value();
    if (shard != 0) return serve(reactor, endings[shard]);
    return lead(reactor, [&, end](Reactor& first) { return main(first, script, end); }, endings);
  });
  const SimEnd reached = world_.run_until([&] { return !node_.running(); });
  CHECK(reached == SimEnd::reached, "{}: {}", name(reached), world_.waiting());
  world_.run_for(std::chrono::milliseconds(10));  // what a killed process had in flight lands
  return outcome_;
}

}  // namespace millrace::fuzz
