// The log engine in this process: one shard on a folder, without a server.
#pragma once

#include <string>

#include "engine/log/open_node.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/shard_threads.h"

namespace millrace::bench {

// Opens (or makes) the folder, runs `function(Reactor&, ShardLog&)`, a Task<Result<void>>, on a reactor of
// the calling thread, and stops cleanly.
template <class Function>
Result<void> with_engine(const std::string& folder, Function function) {
  ShardsOptions options;
  options.buffers = {.bytes_max = 1_GiB, .idle_bytes_max = 256_MiB};
  TRY(Result<void> done, run_uring(options, [&](UringReactor& reactor) -> Task<Result<void>> {
        CO_TRY(OpenedNode node, co_await open_node(reactor, {.folder = folder, .cluster = {}}));
        ShardLog log(reactor, DataFolder(folder), node.identity, node.journals[0], node.groups[0],
                     node.ballast, {});
        CO_TRY_VOID(co_await log.start());
        Result<void> measured = co_await function(static_cast<Reactor&>(reactor), log);
        CO_TRY_VOID(co_await log.stop());
        co_return measured;
      }));
  return done;
}

}  // namespace millrace::bench
