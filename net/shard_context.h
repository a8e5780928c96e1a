// ShardContext: what the server of one shard works with. It belongs to that shard's thread, like all it
// refers to.
#pragma once

#include <cstdint>
#include <flatbuffers/flatbuffers.h>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/log/open_node.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/mutex.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/wait.h"
#include "net/answer_memory.h"
#include "net/memory_budget.h"
#include "net/request_reader.h"
#include "net/server_counters.h"
#include "net/server_options.h"
#include "net/topic_table.h"

namespace millrace {

class Catalog;
struct ShardContext;

// Every shard's context. Each place is written and read by its own shard alone, so that work sent to a shard
// finds there what it needs.
using ShardContexts = std::vector<ShardContext*>;

// Who this node is; the same on every shard.
struct NodeInfo {
  ClusterId cluster;
  NodeId node{1};
  std::string data;  // the data folder
};

struct ShardContext {
  ShardContext(Reactor& the_reactor, ShardLog& the_log, ServerOptions the_options, NodeInfo the_node,
               ShardContexts& all)
      : reactor(the_reactor),
        log(the_log),
        options(std::move(the_options)),
        node(std::move(the_node)),
        shards(all),
        started(the_reactor.now()),
        receive_memory(the_reactor.buffers(), options.receive_bytes_max, counters.connections),
        small_requests(the_reactor, options.small_request_bytes_max),
        large_requests(the_reactor, options.large_request_bytes_max),
        answers(the_reactor, options.answer_bytes_max),
        pressed(the_reactor),
        heavy(the_reactor),
        fetch_waits(the_reactor),
        disconnected(the_reactor) {}

  [[nodiscard]] bool owns(GroupId group) const { return owner(group) == reactor.shard(); }
  [[nodiscard]] ShardId owner(GroupId group) const { return shard_of(group, reactor.shard_count()); }
  // The context of the shard that runs this, for work that has come from another.
  [[nodiscard]] static ShardContext& of(const ShardContexts& all, const Reactor& there) {
    return *all[there.shard().value()];
  }

  Reactor& reactor;
  ShardLog& log;
  const ServerOptions options;
  const NodeInfo node;
  ShardContexts& shards;
  const MonotonicTime started;
  TopicTable topics;
  Catalog* catalog = nullptr;  // on shard 0 only
  ServerCounters counters;
  ServerLatencies latencies;
  // For one table at a time, built and copied out without a suspension between.
  flatbuffers::FlatBufferBuilder builder{1024};

  // What connections hold of the shard's memory, in parts that add up: limits.h.
  ReceiveMemory receive_memory;
  MemoryBudget small_requests, large_requests;  // payloads that have a buffer of their own
  AnswerMemory answers;
  WaitQueue pressed;  // somebody waits for memory that peers hold: who stands still has to go
  std::function<void()> shed = [] {};    // answers hold far too much: somebody goes
  Mutex heavy;                           // one answer at a time of those that take long to make
  std::uint32_t requests_in_flight = 0;  // of all connections of this shard
  // Set when the server stops: new requests are refused and fetches wait no longer.
  bool stopping = false;
  WaitQueue fetch_waits;   // fetches that wait for records, on behalf of any shard: woken by `stopping` alone
  WaitQueue disconnected;  // counters.connections has become 0

  // One line a second at most, with the number of those that were left out.
  void log_seldom(LogLevel level, const std::string& line);

 private:
  std::optional<MonotonicTime> logged_at_;
  std::uint64_t unlogged_ = 0;
};

}  // namespace millrace
