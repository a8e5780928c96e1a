#include "net/node.h"

#include <utility>

#include "engine/base/uuid.h"
#include "net/node_shard.h"

namespace millrace {

NodeShard::NodeShard(Reactor& the_reactor, Node::State& node, const NodePart& part)
    : reactor(the_reactor),
      log(reactor, DataFolder(node.setup.storage.folder), part.identity, part.journal, part.groups,
          part.ballast, node.setup.log),
      context(reactor, log, node.setup.server,
              NodeInfo{part.identity.cluster, part.identity.node, node.setup.storage.folder}, node.contexts),
      server(context),
      node_(node) {
  node.shards[reactor.shard().value()] = this;
  node.contexts[reactor.shard().value()] = &context;
}

NodeShard::~NodeShard() {
  node_.shards[reactor.shard().value()] = nullptr;
  node_.contexts[reactor.shard().value()] = nullptr;
}

Task<Result<void>> NodeShard::start() {
  CO_TRY_VOID(co_await log.start());
  started_ = true;
  watch_ = Background(watch());
  co_return Result<void>{};
}

Task<void> NodeShard::watch() {
  Error error = co_await log.failed();
  reactor.log(LogLevel::error, error.message);
  node_.report(reactor,
               [error = std::move(error)](NodeReports& reports) mutable { reports.fail(std::move(error)); });
}

Task<Result<void>> NodeShard::stop_log() {
  if (!started_) co_return Result<void>{};
  watch_.reset();
  co_return co_await log.stop();
}

namespace {

// Runs `function(NodeShard&)`, a task that gives a Result<void>, on all shards at once; the first error in
// the order of the shards.
template <class Function>
Task<Result<void>> on_all_shards(Reactor& reactor, Node::State& node, Function function) {
  std::vector<Result<void>> results(reactor.shard_count());
  Gate gate(reactor);
  for (std::uint32_t i = 0; i < reactor.shard_count(); ++i) {
    gate.spawn([](Reactor& here, ShardId shard, Node::State& all, Function& run,
                  Result<void>& result) -> Task<void> {
      result = co_await on_shard(
          here, shard, [&all, &run](Reactor& there) { return run(*all.shards[there.shard().value()]); });
    }(reactor, ShardId{i}, node, function, results[i]));
  }
  co_await gate.wait();
  for (auto& result : results) {
    if (!result) co_return std::move(result);
  }
  co_return Result<void>{};
}

// ---- shards other than 0

Task<void> run_other(Reactor& reactor, Node::State& node) {
  NodePlace& place = node.places[reactor.shard().value()];
  WaitQueue news(reactor);
  place.news = &news;
  while (!place.part && !place.end) co_await news.wait();
  if (place.part) {
    NodeShard shard(reactor, node, *place.part);
    auto started = co_await shard.start();
    node.report(reactor, [started = std::move(started)](NodeReports& reports) mutable {
      ++reports.begun;
      if (!started) reports.fail(std::move(started).error());
      reports.tell();
    });
    while (!place.end) co_await news.wait();
  }
  place.news = nullptr;
}

// ---- shard 0

class FirstShard {
 public:
  FirstShard(Reactor& reactor, Node::State& node) : reactor_(reactor), node_(node), news_(reactor) {
    node_.reports.news = &news_;
  }
  ~FirstShard() { node_.reports.news = nullptr; }

  Task<Result<void>> run() {
    NodeOptions options = node_.setup.storage;
    options.shards = reactor_.shard_count();
    auto opened = co_await open_node(reactor_, std::move(options));
    Result<void> result;
    if (opened) {
      result = co_await run_opened(*opened);
    } else {
      result = fail(std::move(opened).error());
    }
    for (std::uint32_t i = 1; i < reactor_.shard_count(); ++i) {
      reactor_.post(ShardId{i}, [&node = node_](Reactor& there) {
        NodePlace& place = node.places[there.shard().value()];
        place.end = true;
        place.tell();
      });
    }
    co_return result;
  }

 private:
  Task<Result<void>> run_opened(OpenedNode& opened) {
    say_how_it_was_found(opened);
    for (std::uint32_t i = 1; i < reactor_.shard_count(); ++i) {
      reactor_.post(ShardId{i}, [&node = node_, part = part_of(opened, i)](Reactor& there) mutable {
        NodePlace& place = node.places[there.shard().value()];
        place.part = std::move(part);
        place.tell();
      });
    }
    NodeShard shard(reactor_, node_, part_of(opened, 0));
    Catalog catalog(shard.context);
    shard.context.catalog = &catalog;
    auto started = co_await shard.start();
    while (node_.reports.begun + 1 < reactor_.shard_count()) co_await news_.wait();
    if (started && node_.reports.failure) started = fail(*node_.reports.failure);
    if (started) started = co_await serve(shard, catalog, opened);
    if (!started) {
      static_cast<void>(co_await on_all([](NodeShard& there) { return abort_server(there); }));
      static_cast<void>(co_await on_all([](NodeShard& there) { return there.stop_log(); }));
      co_return started;
    }
    CO_TRY_VOID(co_await on_all([](NodeShard& there) { return stop_server(there); }));
    co_return co_await on_all([](NodeShard& there) { return there.stop_log(); });
  }

  template <class Function>
  Task<Result<void>> on_all(Function function) {
    return on_all_shards(reactor_, node_, std::move(function));
  }

  // Until the node is asked to stop, or cannot go on.
  Task<Result<void>> serve(NodeShard& shard, Catalog& catalog, const OpenedNode& opened) {
    CO_TRY_VOID(co_await catalog.load());
    CO_TRY(const Address address, co_await listen(shard.server));
    if (node_.setup.started) {
      node_.setup.started({.address = address,
                           .identity = opened.identity,
                           .created = opened.created,
                           .clean = opened.clean,
                           .notes = opened.notes,
                           .topics = shard.context.topics.all().size()});
    }
    const Background signal = node_.setup.stop_on_signal ? Background(wait_signal()) : Background();
    while (!node_.reports.stop && !node_.reports.failure) co_await news_.wait();
    if (node_.reports.failure) co_return fail(*node_.reports.failure);
    co_return Result<void>{};
  }

  void say_how_it_was_found(const OpenedNode& opened) const {
    const char* found = opened.created ? "is new"
                        : opened.clean ? "was left by a clean stop"
                                       : "was left by a crash and is recovered";
    reactor_.log(LogLevel::info, fmt::format("the data folder {} {}; cluster {}", node_.setup.storage.folder,
                                             found, to_string(opened.identity.cluster)));
    // What was cut, removed or left out is for whoever runs the server to know, at any level but `error`.
    for (const std::string& note : opened.notes) reactor_.log(LogLevel::warning, note);
  }

  // Shard 0 first: where it may pick a port, the others take the same.
  Task<Result<Address>> listen(Server& server) {
    CO_TRY(const Address address, co_await server.listen(node_.setup.listen));
    CO_TRY_VOID(co_await on_all([&address](NodeShard& there) { return listen_too(there, address); }));
    co_return address;
  }

  static Task<Result<void>> listen_too(NodeShard& there, const Address& address) {
    if (there.reactor.shard() != ShardId{0}) CO_TRY_VOID(co_await there.server.listen(address));
    there.server.start();
    co_return Result<void>{};
  }

  Task<void> wait_signal() {
    const auto signal = co_await reactor_.wait_signal();
    if (!signal) {
      reactor_.log(LogLevel::warning, "signals do not stop this server: " + signal.error().message);
      co_return;
    }
    reactor_.log(LogLevel::info, fmt::format("stopping on signal {}", *signal));
    node_.reports.stop = true;
    node_.reports.tell();
  }

  static Task<Result<void>> stop_server(NodeShard& there) {
    co_await there.server.stop();
    co_return Result<void>{};
  }
  static Task<Result<void>> abort_server(NodeShard& there) {
    co_await there.server.abort();
    co_return Result<void>{};
  }

  static NodePart part_of(OpenedNode& opened, std::uint32_t shard) {
    return {opened.identity, std::move(opened.journals[shard]), std::move(opened.groups[shard]),
            opened.ballast};
  }

  Reactor& reactor_;
  Node::State& node_;
  WaitQueue news_;
};

}  // namespace

Node::Node(NodeSetup setup, std::uint32_t shards) : state_(std::make_unique<State>()) {
  state_->setup = std::move(setup);
  state_->setup.log.ballast_size = state_->setup.storage.ballast_size;
  state_->places.resize(shards);
  state_->shards.resize(shards);
  state_->contexts.resize(shards);
}

Node::~Node() = default;

void Node::stop(Reactor& here) {
  state_->report(here, [](NodeReports& reports) {
    reports.stop = true;
    reports.tell();
  });
}

Task<Result<void>> run_node_shard(Reactor& reactor, Node& node) {
  Node::State& state = *node.state_;
  CHECK(state.places.size() == reactor.shard_count(), "a node made for {} shards runs on {}",
        state.places.size(), reactor.shard_count());
  if (reactor.shard() != ShardId{0}) {
    co_await run_other(reactor, state);
    co_return Result<void>{};
  }
  FirstShard first(reactor, state);
  co_return co_await first.run();
}

}  // namespace millrace
