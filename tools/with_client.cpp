#include "tools/with_client.h"

#include <utility>

#include "engine/reactor/shard_threads.h"
#include "engine/reactor/wait.h"
#include "net/background.h"
#include "tools/terminal.h"

namespace millrace::tools {

namespace {

// What ended first.
struct Race {
  explicit Race(Reactor& reactor) : news(reactor) {}
  WaitQueue news;
  bool done = false;
  int signal = 0;
};

Task<void> do_work(Task<void> work, Race& race) {
  co_await std::move(work);
  race.done = true;
  race.news.wake_all();
}

Task<void> hear_signal(Reactor& reactor, Race& race) {
  const auto heard = co_await reactor.wait_signal();
  if (!heard) co_return;
  race.signal = static_cast<int>(*heard);
  race.news.wake_all();
}

}  // namespace

Task<int> until_signal(Reactor& reactor, Task<void> work) {
  Race race(reactor);
  const Background working(do_work(std::move(work), race));
  const Background hearing(hear_signal(reactor, race));
  while (!race.done && race.signal == 0) co_await race.news.wait();
  co_return race.done ? 0 : race.signal;
}

int with_client(std::string_view command, const HostPort& server, const ClientMain& main, Signals signals) {
  const auto address = resolve(server);
  if (!address) return report(command, address.error());
  ShardsOptions options;
  options.ring.signals = signals == Signals::are_awaited;
  options.ring.registered_bytes = 0;  // for direct I/O, of which clients do none
  const auto ended = run_uring(options, [&](UringReactor& reactor) -> Task<int> {
    Client client(
        reactor,
        {.server = *address, .name = "millrace " MILLRACE_VERSION, .connect_patience = Duration::zero()});
    co_return co_await main(reactor, client);
  });
  return ended ? *ended : report(command, ended.error());
}

}  // namespace millrace::tools
