#include "tests/crash/kill_story.h"

#include <algorithm>
#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

#include "tests/crash/folder_watch.h"

namespace millrace::test {
namespace {

Task<void> check(Client& client, Ledger& ledger, CheckDepth depth) {
  const auto checked = co_await ledger.check(client, depth);
  EXPECT_TRUE(checked) << checked.error().message;
}

}  // namespace

Arguments KillStory::some_flags() {
  return server_flags(static_cast<std::uint32_t>(random_.between(1, 3)));
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

void KillStory::kill_under_load() {
  std::optional<FolderWatch> watch(data());
  ServerProcess server(data(), some_flags());
  ASSERT_FALSE(server.address().empty());
  steps_of_a_start_ = watch->count();
  watch.reset();  // it would slow down what follows
  const LoadMix mix = some_load();
  std::uint64_t batches = random_.between(1, 150);
  with_client(server, [&](Client& client) -> Task<void> {
    co_await check(client, ledger_, CheckDepth::what_is_new);
    if (testing::Test::HasFailure()) co_return;
    Load load(client, ledger_, random_, mix);
    load.on_acknowledged = [&] {
      if (--batches != 0) return;
      server.process().signal(SIGKILL);
      ++met_.working;
    };
    co_await load.run();
  });
  ASSERT_FALSE(testing::Test::HasFailure());
  ASSERT_EQ(server.process().wait(), k_killed) << server.process().errors();
}

void KillStory::kill_while_starting() {
  FolderWatch watch(data());
  Process server(tools::test::serve_arguments(data(), some_flags()));
  ASSERT_GT(steps_of_a_start_, 0u) << "no start has been seen yet";
  watch.wait(random_.between(1, steps_of_a_start_), server.output());
  server.signal(SIGKILL);
  ASSERT_EQ(server.wait(), k_killed) << server.errors();
  if (watch.count() != 0 && server.rest_of_output().empty()) ++met_.starting;
}

void KillStory::kill_while_stopping() {
  ServerProcess server(data(), some_flags());
  ASSERT_FALSE(server.address().empty());
  static_cast<void>(server.process().read_line());
  static_cast<void>(server.process().read_line());
  FolderWatch watch(data());
  server.process().signal(SIGTERM);
  watch.wait(random_.between(1, steps_of_a_stop_), server.process().output());
  server.process().signal(SIGKILL);
  const int status = server.process().wait();
  ASSERT_TRUE(status == k_killed || status == 0) << status << "\n" << server.process().errors();
  if (status == 0) steps_of_a_stop_ = std::max<std::uint64_t>(1, watch.count());
  if (status == k_killed) ++met_.stopping;
}

void KillStory::expect_everything() {
  for (const char* found : {"was left by a crash", "was left by a clean stop"}) {
    ServerProcess server(data(), some_flags());
    ASSERT_FALSE(server.address().empty());
    with_client(server, [&](Client& client) { return check(client, ledger_, CheckDepth::everything); });
    EXPECT_THAT(errors_after_clean_stop(server), testing::HasSubstr(found));
  }
}

}  // namespace millrace::test
