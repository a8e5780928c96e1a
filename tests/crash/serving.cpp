#include "tests/crash/serving.h"

#include <gtest/gtest.h>

#include "engine/reactor/shard_threads.h"

namespace millrace::test {

Arguments server_flags(std::uint32_t shards, const Arguments& more) {
  Arguments flags{"--shards", std::to_string(shards), "--no-pin", "--log-level", "info", "--unplaced-bytes",
                  "16MiB",    "--cache-bytes",        "1MiB"};
  flags.insert(flags.end(), more.begin(), more.end());
  return flags;
}

std::string errors_after_clean_stop(ServerProcess& server) {
  const int status = server.stop();
  std::string errors = server.process().errors();
  EXPECT_EQ(status, 0) << errors;
  return errors;
}

void with_client(const ServerProcess& server, const std::function<Task<void>(Client&)>& script) {
  const auto address = parse_address(server.address());
  ASSERT_TRUE(address) << server.address();
  ShardsOptions options;
  options.ring.registered_bytes = 0;  // for direct I/O, of which clients do none
  const auto ran = run_uring(options, [&](UringReactor& reactor) -> Task<void> {
    Client client(reactor, {.server = *address,
                            .connect_patience = Duration::zero(),
                            .request_timeout = std::chrono::minutes(10)});
    co_await script(client);
  });
  EXPECT_TRUE(ran) << ran.error().message;
}

}  // namespace millrace::test
