#include "tools/with_client.h"

#include "engine/reactor/shard_threads.h"
#include "tools/terminal.h"

namespace millrace::tools {

int with_client(std::string_view command, const Address& server, const ClientMain& main) {
  ShardsOptions options;
  options.ring.registered_bytes = 0;  // for direct I/O, of which clients do none
  const auto ended = run_uring(options, [&](UringReactor& reactor) -> Task<int> {
    Client client(
        reactor,
        {.server = server, .name = "millrace " MILLRACE_VERSION, .connect_patience = Duration::zero()});
    co_return co_await main(reactor, client);
  });
  return ended ? *ended : report(command, ended.error());
}

}  // namespace millrace::tools
