// What the stories of simulated nodes are told in.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "engine/reactor/sim_world.h"
#include "tests/reactor/contract_harness.h"

namespace millrace {

inline Slice slice_of(Reactor& reactor, std::string_view text) {
  Slice slice{must(reactor.buffers().acquire(text.size())), 0, static_cast<std::uint32_t>(text.size())};
  std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), slice.buffer.data());
  return slice;
}

// Creates a file and writes it; `sync` says how durable it is made.
struct Durability {
  Sync write = Sync::no;
  bool sync_file = false;
  bool sync_folder = false;
};
inline Task<Result<void>> store(Reactor& reactor, std::string path, std::string text, Durability durability) {
  CO_TRY(const File file, co_await reactor.open(path, {.mode = OpenMode::create}));
  CO_TRY_VOID(co_await reactor.write(file, slice_of(reactor, text), 0, durability.write));
  if (durability.sync_file) CO_TRY_VOID(co_await reactor.sync(file));
  if (durability.sync_folder) CO_TRY_VOID(co_await reactor.sync_folder("."));
  co_return Result<void>{};
}
inline constexpr Durability k_all_of_it{.write = Sync::data, .sync_file = true, .sync_folder = true};

}  // namespace millrace
