// Mains for a process of which one shard leads and the others serve: a shard whose main has returned is gone.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/wait.h"

namespace millrace {

using TestMain = std::function<Task<void>(Reactor&)>;

// Tells the shards that serve that they may end; each part is touched on its shard alone.
struct ShardEnding {
  std::optional<WaitQueue> queue;
  bool asked = false;
};

// The main of a shard that does what others ask for, until lead() has ended.
inline Task<void> serve(Reactor& reactor, ShardEnding& ending) {
  ending.queue.emplace(reactor);
  while (!ending.asked) co_await ending.queue->wait();
}

// The main of shard 0: `main`, and then the end of all.
inline Task<void> lead(Reactor& reactor, TestMain main, std::vector<ShardEnding>& endings) {
  co_await main(reactor);
  for (std::uint32_t shard = 1; shard < reactor.shard_count(); ++shard) {
    reactor.post(ShardId{shard}, [&ending = endings[shard]](Reactor&) {
      ending.asked = true;
      if (ending.queue) ending.queue->wake_all();
    });
  }
}

}  // namespace millrace
