#include "tests/crash/kill_story.h"

#include <csignal>
#include <gtest/gtest.h>
#include <sched.h>

namespace millrace::test {
namespace {

Task<void> check(Client& client, Ledger& ledger, CheckDepth depth) {
  const auto checked = co_await ledger.check(client, depth);
  EXPECT_TRUE(checked) << checked.error().message;
}

}  // namespace

ServeOptions KillStory::some_server() {
  return {.folder = folder_.path() + "/data",
          .shards = static_cast<std::uint32_t>(random_.between(1, 3)),
          .more = {}};
}

LoadMix KillStory::some_load() {
  LoadMix mix;
  mix.small = random_.between(10, 60);
  mix.medium = random_.below(10);
  mix.large = random_.below(6);
  mix.burst_max = static_cast<std::uint32_t>(random_.between(1, 40));
  mix.trims = random_.below(10);
  mix.removals = random_.below(4);
  mix.looks = random_.below(60);
  mix.topics = 4;
  mix.segment_bytes = 256u << 10;
  mix.workers = static_cast<std::uint32_t>(random_.between(1, 16));
  mix.steps = 1'000'000;  // until the server goes
  mix.producer.batch_bytes = (4u << 10) << random_.below(7);
  mix.producer.buffered_bytes_max = 2u << 20;
  return mix;
}

void KillStory::take_some_turns() {
  for (std::uint64_t i = random_.below(3000); i > 0; --i) ::sched_yield();
}

void KillStory::kill_under_load() {
  ServerProcess server(some_server());
  ASSERT_TRUE(server.ready()) << server.errors();
  const LoadMix mix = some_load();
  std::uint64_t batches = random_.between(1, 150);
  with_client(server.address(), [&](Client& client) -> Task<void> {
    co_await check(client, ledger_, CheckDepth::what_is_new);
    if (testing::Test::HasFailure()) co_return;
    Load load(client, ledger_, random_, mix);
    load.on_acknowledged = [&] {
      if (--batches == 0) server.kill();
    };
    co_await load.run();
  });
  ASSERT_EQ(server.wait(), -SIGKILL) << server.errors();
}

void KillStory::kill_while_starting() {
  ServerProcess server(some_server());
  take_some_turns();
  server.kill();
  ASSERT_EQ(server.wait(), -SIGKILL) << server.errors();
}

void KillStory::kill_while_stopping() {
  ServerProcess server(some_server());
  ASSERT_TRUE(server.ready()) << server.errors();
  server.terminate();
  take_some_turns();
  server.kill();
  const int status = server.wait();
  ASSERT_TRUE(status == -SIGKILL || status == 0) << status << "\n" << server.errors();
}

void KillStory::expect_everything() {
  for (const char* found : {"was left by a crash", "was left by a clean stop"}) {
    ServerProcess server(some_server());
    ASSERT_TRUE(server.ready()) << server.errors();
    EXPECT_TRUE(server.errors().contains(found)) << server.errors();
    with_client(server.address(),
                [&](Client& client) { return check(client, ledger_, CheckDepth::everything); });
    server.expect_clean_stop();
  }
}

}  // namespace millrace::test
