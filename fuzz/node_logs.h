// NodeLogs: a node's logs on a simulated machine: a data folder is opened, its shards run, and end in one of
// three ways.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/log/open_node.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/sim_world.h"
#include "engine/reactor/wait.h"

namespace millrace::fuzz {

inline constexpr const char* k_folder = "node-data";

// The logs of the running node, as the script of shard 0 sees them.
struct NodeLogs {
  Reactor& reactor;
  OpenedNode node;
  std::vector<std::unique_ptr<ShardLog>> shards;

  [[nodiscard]] ShardId shard_of(GroupId group) const {
    return millrace::shard_of(group, static_cast<std::uint32_t>(shards.size()));
  }
  // `verb(log)` or `verb(log, reactor)` on the group's own shard.
  template <class Verb>
  auto on(GroupId group, Verb verb) {
    return on_shard(reactor, shard_of(group), [this, group, verb = std::move(verb)](Reactor& there) {
      ShardLog& log = *shards[shard_of(group).value()];
      if constexpr (std::is_invocable_v<const Verb&, ShardLog&, Reactor&>) {
        return verb(log, there);
      } else {
        return verb(log);
      }
    });
  }
};

class NodeMachine {
 public:
  using Script = std::function<Task<void>(NodeLogs&)>;
  enum class End : std::uint8_t {
    stopped,
    killed,
    power_cut,  // what was not synced is lost
  };

  NodeMachine() : world_(1), node_(world_.add_node("node")) {}
  NodeOptions options;
  ShardLogOptions log_options;
  [[nodiscard]] SimDisk& disk() { return node_.disk(); }
  // The error of a refused start; the script has not run then. CHECKs that shards start and stop well.
  Result<void> run(const Script& script, End end = End::stopped);

 private:
  Task<void> main(Reactor& reactor, const Script& script, End end);
  Task<void> start_shards(NodeLogs& logs);
  Task<void> stop_shards(NodeLogs& logs);

  SimWorld world_;
  SimNode& node_;
  Result<void> outcome_;
};

}  // namespace millrace::fuzz
