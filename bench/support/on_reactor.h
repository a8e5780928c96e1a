// A microbenchmark's loop on a reactor of its own.
#pragma once

#include <benchmark/benchmark.h>

#include "engine/reactor/shard_threads.h"

namespace millrace {

// `function` is a coroutine that takes the reactor and runs the loop.
template <class Function>
void on_reactor(benchmark::State& state, Function function) {
  ShardsOptions options;
  const auto ran =
      run_uring(options, [&](UringReactor& reactor) -> Task<void> { co_await function(reactor); });
  if (!ran) state.SkipWithError(ran.error().message.c_str());
}

}  // namespace millrace
