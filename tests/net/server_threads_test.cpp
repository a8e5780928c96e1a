// The same node on threads, io_uring, real sockets and a real folder.
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

#include "engine/reactor/shard_threads.h"
#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"
#include "tests/reactor/uring_harness.h"

namespace millrace::test {
namespace {

using ::testing::HasSubstr;

class ServerThreads : public testing::TestWithParam<std::uint32_t> {
 protected:
  using Script = std::function<Task<void>(Reactor& here, Address server)>;

  // Runs the node; the script runs on shard 0 beside it, and the node stops when it has ended.
  Result<void> run(Script script) {
    NodeSetup setup = small_node(folder_.path() + "/data");
    setup.listen = listen_;
    setup.stop_on_signal = false;
    Reactor* first = nullptr;
    setup.started = [&](const NodeStarted& started) {
      started_ = started;
      first->spawn([](Reactor& here, Node& node, const Script& its, Address address) -> Task<void> {
        co_await its(here, std::move(address));
        node.stop(here);
      }(*first, *node_, script, started.address));
    };
    node_.emplace(std::move(setup), GetParam());
    Result<void> result;
    ShardsOptions shards;
    shards.count = GetParam();
    shards.pin = false;
    auto threads = ShardThreads::start(shards, [&](UringReactor& reactor) -> Task<void> {
      if (reactor.shard() == ShardId{0}) first = &reactor;
      auto ended = co_await run_node_shard(reactor, *node_);
      if (reactor.shard() == ShardId{0}) result = std::move(ended);
    });
    if (!threads) return fail(threads.error());
    (*threads)->join();
    return result;
  }

  TemporaryFolder folder_;
  Address listen_{"127.0.0.1", 0};
  std::optional<Node> node_;
  std::optional<NodeStarted> started_;
};
INSTANTIATE_TEST_SUITE_P(Shards, ServerThreads, testing::Values(1u, 2u));

TEST_P(ServerThreads, StoreWhatIsAcknowledgedAndGiveItBackAfterARestart) {
  const Bytes large = large_batch(300'000);
  const auto first = run([&](Reactor& here, Address server) -> Task<void> {
    EXPECT_NE(server.port, 0);
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders", 2);
    for (std::uint32_t p = 0; p < 2; ++p) {
      EXPECT_EQ((co_await peer.produce("orders", batch_of("small"), p))
                    .answer<wire::ProduceAnswer>(FrameType::produce)
                    ->base_offset(),
                0);
      EXPECT_EQ((co_await peer.produce("orders", large, p))
                    .answer<wire::ProduceAnswer>(FrameType::produce)
                    ->base_offset(),
                1);
    }
    EXPECT_EQ(co_await peer.counter("payload_bytes_copied"), 0u);
    EXPECT_EQ(co_await peer.counter("log_direct_bytes_copied"), 0u);
  });
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(started_->created);
  const auto second = run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    for (std::uint32_t p = 0; p < 2; ++p) {
      // At least the first entry of each; more when they lie together.
      EXPECT_EQ(values_of((co_await peer.fetch("orders", 0, {.partition = p})).payload).front(), "small");
      EXPECT_TRUE(values_of((co_await peer.fetch("orders", 1, {.partition = p})).payload).front() ==
                  std::string(300'000, 'x'));
    }
  });
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_FALSE(started_->created);
  EXPECT_TRUE(started_->clean);
}

TEST_P(ServerThreads, AnswerManyPipelinedConnectionsInOrder) {
  const auto result = run([](Reactor& here, Address server) -> Task<void> {
    Peer first = co_await Peer::greeted(here, server);
    co_await first.create("orders", 2);
    std::vector<Peer> peers;
    for (int i = 0; i < 8; ++i) peers.push_back(co_await Peer::greeted(here, server));
    for (std::uint32_t p = 0; p < peers.size(); ++p) {
      Bytes stream;
      for (std::uint64_t i = 0; i < 100; ++i) {
        const Bytes batch = i % 10 == 3 ? large_batch(66'000) : batch_of(fmt::format("{} {}", p, i));
        const Bytes frame = Peer::produce_frame(i, "orders", batch, static_cast<std::uint32_t>(i % 2));
        stream.insert(stream.end(), frame.begin(), frame.end());
      }
      here.spawn([](Peer& peer, Bytes bytes) -> Task<void> { co_await peer.send(std::move(bytes)); }(
                                                 peers[p], std::move(stream)));
    }
    for (Peer& peer : peers) {
      std::map<std::uint64_t, std::int64_t> offsets;
      for (int i = 0; i < 100; ++i) {
        const Frame frame = co_await peer.receive();
        const auto* answer = frame.answer<wire::ProduceAnswer>(FrameType::produce);
        if (answer == nullptr) co_return;
        offsets[frame.preamble.correlation] = answer->base_offset();
      }
      for (std::uint64_t i = 2; i < 100; ++i) EXPECT_LT(offsets[i - 2], offsets[i]) << i;
    }
    EXPECT_EQ(co_await first.counter("produce_records"), 800u);
  });
  ASSERT_TRUE(result) << result.error().message;
}

TEST_P(ServerThreads, TellStrangersAndGoOn) {
  const auto result = run([](Reactor& here, Address server) -> Task<void> {
    Peer browser = co_await Peer::connect(here, server);
    co_await browser.send(bytes_of("GET / HTTP/1.0\r\n\r\n"));
    EXPECT_THAT(co_await browser.receive_text(), HasSubstr("400 Bad Request"));
    Peer garbage = co_await Peer::connect(here, server);
    co_await garbage.send(Bytes(100'000, std::byte{0xee}));
    EXPECT_EQ((co_await garbage.receive()).error(), ErrorCode::protocol_error);
    Peer peer = co_await Peer::greeted(here, server);
    EXPECT_EQ(co_await peer.counter("closed_bad_frame"), 2u);
  });
  ASSERT_TRUE(result) << result.error().message;
}

// 192.0.2.0/24 is nobody's (RFC 5737).
TEST_P(ServerThreads, EndCleanlyWhenTheyCannotListenAndMakeNoFolder) {
  listen_ = Address{"192.0.2.1", 7420};
  const auto result = run([](Reactor&, Address) -> Task<void> { co_return; });
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("192.0.2.1"));
  EXPECT_FALSE(started_);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/data"));
  listen_ = Address{"127.0.0.1", 0};
  const auto again = run([](Reactor&, Address) -> Task<void> { co_return; });
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(started_->clean);
}

}  // namespace
}  // namespace millrace::test
