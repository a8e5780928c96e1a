#include "net/node.h"

#include <utility>

#include "engine/base/uuid.h"
#include "net/node_shard.h"

namespace millrace {

NodeShard::NodeShard(Reactor& the_reactor, Node::State& node, const NodePart& part, Socket listener)
    : reactor(the_reactor),
      log(reactor, DataFolder(node.setup.storage.folder), part.identity, part.journal, part.groups,
          part.ballast, node.setup.log),
      context(reactor, log, node.setup.server,
              NodeInfo{part.identity.cluster, part.identity.node, node.setup.storage.folder}, node.contexts),
      server(context),
      node_(node),
      listener_(std::move(listener)) {
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
  CHECK(context.counters.connections == 0, "{} connections outlive the server", context.counters.connections);
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
  const auto answer = [&](Result<void> done) {
    node.report(reactor, [done = std::move(done)](NodeReports& reports) mutable {
      ++reports.answers;
      if (!done) reports.fail(std::move(done).error());
      reports.tell();
    });
  };
  Socket listener;
  while (!place.address && !place.end) co_await news.wait();
  if (place.address) {
    auto listening = co_await reactor.listen(*place.address);
    if (listening) listener = *listening;
    answer(listening ? Result<void>{} : fail(std::move(listening).error()));
  }
  while (!place.part && !place.end) co_await news.wait();
  if (place.part) {
    NodeShard shard(reactor, node, *place.part, std::move(listener));
    answer(co_await shard.start());
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
    auto result = co_await listen_and_open();
    tell_others([](std::uint32_t) { return [](NodePlace& place) { place.end = true; }; });
    co_return result;
  }

 private:
  // The address first: where it cannot be had, no folder is made.
  Task<Result<void>> listen_and_open() {
    CO_TRY(Socket listener, co_await reactor_.listen(node_.setup.listen));
    // Where port 0 has picked one, the others take the same.
    address_ = reactor_.local_address(listener);
    tell_others(
        [&](std::uint32_t) { return [address = address_](NodePlace& place) { place.address = address; }; });
    CO_TRY_VOID(co_await answers_of_others());
    NodeOptions options = node_.setup.storage;
    options.shards = reactor_.shard_count();
    CO_TRY(OpenedNode opened, co_await open_node(reactor_, std::move(options)));
    co_return co_await run_opened(opened, std::move(listener));
  }

  Task<Result<void>> run_opened(OpenedNode& opened, Socket listener) {
    say_how_it_was_found(opened);
    tell_others([&](std::uint32_t shard) {
      return [part = part_of(opened, shard)](NodePlace& place) mutable { place.part = std::move(part); };
    });
    NodeShard shard(reactor_, node_, part_of(opened, 0), std::move(listener));
    Catalog catalog(shard.context);
    shard.context.catalog = &catalog;
    auto started = co_await shard.start();
    auto others = co_await answers_of_others();
    if (started) started = std::move(others);
    if (started) started = co_await serve(shard, catalog, opened);
    if (!started) {
      static_cast<void>(co_await on_all([](NodeShard& there) { return abort_server(there); }));
      static_cast<void>(co_await on_all([](NodeShard& there) { return there.stop_log(); }));
      co_return started;
    }
    CO_TRY_VOID(co_await on_all([](NodeShard& there) { return stop_server(there); }));
    co_return co_await on_all([](NodeShard& there) { return there.stop_log(); });
  }

  // Runs change(shard)(NodePlace&) on each other shard.
  template <class Change>
  void tell_others(Change change) {
    for (std::uint32_t i = 1; i < reactor_.shard_count(); ++i) {
      reactor_.post(ShardId{i}, [&node = node_, its = change(i)](Reactor& there) mutable {
        NodePlace& place = node.places[there.shard().value()];
        its(place);
        place.tell();
      });
    }
  }

  // When all of them have done what they were told, or failed to.
  Task<Result<void>> answers_of_others() {
    while (node_.reports.answers + 1 < reactor_.shard_count()) co_await news_.wait();
    node_.reports.answers = 0;
    if (node_.reports.failure) co_return fail(*node_.reports.failure);
    co_return Result<void>{};
  }

  template <class Function>
  Task<Result<void>> on_all(Function function) {
    return on_all_shards(reactor_, node_, std::move(function));
  }

  // Until the node is asked to stop, or cannot go on.
  Task<Result<void>> serve(NodeShard& shard, Catalog& catalog, const OpenedNode& opened) {
    CO_TRY_VOID(co_await catalog.load());
    CO_TRY_VOID(co_await on_all([](NodeShard& there) { return start_server(there); }));
    if (node_.setup.started) {
      node_.setup.started({.address = address_,
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

  static Task<Result<void>> start_server(NodeShard& there) {
    there.serve();
    co_return Result<void>{};
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
  Address address_;  // in force
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
