// Node: one node, put together: data folder, logs, topics and servers, on as many shards as the reactor has.
//
//   shard 0                                                      every other shard
//   listen ----------------------------------------------------> listen
//   open the data folder (recovery)                              wait
//   hand out the journals' and groups' parts ------------------> make and start its log
//   read the topics from group 0, finish what a crash left
//   accept connections ----------------------------------------> accept connections
//   started(); serve                                             serve
//   SIGTERM, stop(), or a failed sync
//   stop the servers ------------------------------------------> finish what was taken, refuse the rest
//   stop the logs ---------------------------------------------> move everything to segments, checkpoint
//   end -------------------------------------------------------> end
//
// A node that cannot have its address ends before it touches the folder. Who connects during recovery waits
// in the listener.
//
// The same code runs on threads with io_uring and in simulation:
//
//   Node node({...});
//   ShardThreads::start(options, [&](Reactor& reactor) -> Task<void> { result = co_await
//   run_node_shard(reactor, node); });
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/log/open_node.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/address.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "net/server_options.h"

namespace millrace {

// What there is to say once clients are served.
struct NodeStarted {
  Address address;  // in force: with the port that was picked where 0 was asked for
  Identity identity;
  bool created = false;            // the data folder is new
  bool clean = false;              // the last stop was a clean one
  std::vector<std::string> notes;  // of recovery, a line each
  std::size_t topics = 0;
};

struct NodeSetup {
  NodeOptions storage;  // the number of shards is the reactor's
  ShardLogOptions log;
  ServerOptions server;
  Address listen{"127.0.0.1", 7420};
  // Stop on SIGINT and SIGTERM.
  bool stop_on_signal = true;
  // Called on shard 0.
  std::function<void(const NodeStarted&)> started;
};

class Node {
 public:
  // For `shards` shards; outlives what runs on them. Runs once.
  Node(NodeSetup setup, std::uint32_t shards);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Asks for a stop as SIGTERM does, from any shard; before the start it takes effect after it.
  void stop(Reactor& here);

  struct State;  // node_shard.h

 private:
  friend Task<Result<void>> run_node_shard(Reactor& reactor, Node& node);
  std::unique_ptr<State> state_;
};

// What each shard's main does; returns when the node has ended. The result of shard 0 is the node's: nothing
// after a clean stop; open_node()'s errors, the listeners', sync_failed when the disk failed a sync, after
// which nothing more was acknowledged. The others' are always good.
Task<Result<void>> run_node_shard(Reactor& reactor, Node& node);

}  // namespace millrace
