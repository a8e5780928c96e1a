// What one shard of a node consists of, and what the shards of a node know about each other. For node.cpp
// alone.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "engine/log/open_node.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/wait.h"
#include "net/background.h"
#include "net/catalog.h"
#include "net/node.h"
#include "net/server.h"
#include "net/shard_context.h"

namespace millrace {

// A shard's part of the opened node.
struct NodePart {
  Identity identity;
  JournalStart journal;
  std::vector<RecoveredGroup> groups;
  std::shared_ptr<BallastState> ballast;
};

// Shard 0's messages to another shard, which may come before that one's main has begun. Each is touched by
// its own shard alone.
struct NodePlace {
  std::optional<Address> address;  // to listen on
  std::optional<NodePart> part;
  bool end = false;
  WaitQueue* news = nullptr;  // of the shard's main
  void tell() const {
    if (news != nullptr) news->wake_all();
  }
};

// The others' messages to shard 0; touched by shard 0 alone.
struct NodeReports {
  std::uint32_t answers = 0;     // of shards that have done what they were told last, or failed to
  std::optional<Error> failure;  // the first one
  bool stop = false;
  WaitQueue* news = nullptr;
  void fail(Error error) {
    if (!failure) failure = std::move(error);
    tell();
  }
  void tell() const {
    if (news != nullptr) news->wake_all();
  }
};

class NodeShard;

struct Node::State {
  NodeSetup setup;
  std::vector<NodePlace> places;
  NodeReports reports;
  // By shard; each place is touched by its own shard alone.
  std::vector<NodeShard*> shards;
  ShardContexts contexts;

  // Runs `change(NodeReports&)` on shard 0.
  template <class Change>
  void report(Reactor& here, Change change) {
    here.post(ShardId{0}, [this, change = std::move(change)](Reactor&) mutable { change(reports); });
  }
};

// Lives in the frame of the shard's main.
class NodeShard {
 public:
  NodeShard(Reactor& reactor, Node::State& node, const NodePart& part, Socket listener);
  ~NodeShard();

  // Starts the log and the watch over it.
  Task<Result<void>> start();
  // Clients are served from here on. Once.
  void serve() { server.start(std::move(listener_)); }
  // Does nothing where start() has failed.
  Task<Result<void>> stop_log();

  Reactor& reactor;

  ShardLog log;
  ShardContext context;
  Server server;

 private:
  Task<void> watch();
  Node::State& node_;
  Socket listener_;  // until the server has it
  bool started_ = false;
  Background watch_;
};

}  // namespace millrace
