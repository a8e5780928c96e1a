// Running shards: threads with a UringReactor each, or one reactor on the calling thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/reactor/uring_options.h"
#include "engine/reactor/uring_reactor.h"

namespace millrace {

struct ShardsOptions {
  std::uint32_t count = 1;  // 1 to 256
  // Each thread stays on a processor of its own, as far as there are enough that this process may use.
  bool pin = true;
  UringOptions ring;
  BufferPool::Options buffers{.bytes_max = k_buffer_bytes_default,
                              .idle_bytes_max = k_idle_buffer_bytes_max,
                              .reserve_bytes = k_log_reserve_bytes};  // a shard
  LogSink log;
};

// What a shard does; called on its thread. The shard's loop ends when the task has ended.
using ShardMain = std::function<Task<void>(UringReactor&)>;

// Shards on threads of their own. A shard whose main has ended cancels what it has in flight and then waits
// for the others, because they may still post to it; such messages are destroyed unrun.
class ShardThreads {
 public:
  // Returns when every reactor exists. Errors: those of probe_uring(); then no main has begun.
  // From here on the process ignores SIGPIPE and SIGXFSZ, so that they come as errors, and may open as many
  // files as its hard limit allows.
  [[nodiscard]] static Result<std::unique_ptr<ShardThreads>> start(const ShardsOptions& options,
                                                                   const ShardMain& main);
  ~ShardThreads();  // joins
  ShardThreads(const ShardThreads&) = delete;
  ShardThreads& operator=(const ShardThreads&) = delete;
  // Waits until every shard has ended.
  void join();

 private:
  struct Shared;
  explicit ShardThreads(std::unique_ptr<Shared> shared);
  std::unique_ptr<Shared> shared_;
  std::vector<std::thread> threads_;
};

namespace shard_threads_detail {
[[nodiscard]] Result<void> run_here(const ShardsOptions& options, const ShardMain& main);
}  // namespace shard_threads_detail

// One reactor on the calling thread: runs `function(UringReactor&)`, a task, to its end and gives its value.
// For tools and tests; options.count and options.pin do not matter. Nothing that belongs to the reactor
// (buffers, files) may be in the value.
template <class Function>
auto run_uring(const ShardsOptions& options, Function function)
    -> Result<typename std::invoke_result_t<Function&, UringReactor&>::Value> {
  using T = typename std::invoke_result_t<Function&, UringReactor&>::Value;
  if constexpr (std::is_void_v<T>) {
    return shard_threads_detail::run_here(options, function);
  } else {
    std::optional<T> value;
    TRY_VOID(shard_threads_detail::run_here(
        options, [&](UringReactor& reactor) -> Task<void> { value.emplace(co_await function(reactor)); }));
    return *std::move(value);
  }
}

}  // namespace millrace
