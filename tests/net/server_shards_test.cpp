// Several shards: one hop to whoever owns the partition, and the order of what one connection sends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using ::testing::ElementsAre;

constexpr std::uint32_t k_shards = 4;

TEST(ServerShards, EveryPartitionIsReachedThroughAnyConnection) {
  ServerStory story({.shards = k_shards});
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer first = co_await Peer::greeted(here, server);
    co_await first.create("orders", 8);
    for (std::uint32_t p = 0; p < 8; ++p) {
      Peer peer = co_await Peer::greeted(here, server);
      for (std::uint32_t to = 0; to < 8; ++to) {
        const Frame frame = co_await peer.produce("orders", batch_of(fmt::format("{} to {}", p, to)), to);
        EXPECT_EQ(frame.answer<wire::ProduceAnswer>(FrameType::produce)->base_offset(), p);
      }
    }
    for (std::uint32_t p = 0; p < 8; ++p) {
      const auto values = values_of((co_await first.fetch("orders", 0, {.partition = p})).payload);
      EXPECT_EQ(values.size(), 8u);
      if (values.size() == 8) EXPECT_EQ(values[3], fmt::format("3 to {}", p));
    }
    const Frame described = co_await first.describe("orders");
    std::set<std::uint32_t> shards;
    for (const auto* state :
         *described.answer<wire::DescribeTopicAnswer>(FrameType::describe_topic)->partitions()) {
      shards.insert(state->shard());
      EXPECT_EQ(state->durable_end(), 8);
    }
    EXPECT_EQ(shards.size(), k_shards);
    EXPECT_EQ(co_await first.counter("groups"), 9u);
    EXPECT_EQ(co_await first.counter("produce_records"), 64u);
    EXPECT_GT(co_await first.counter("requests_hopped"), 0u);
  });
}

TEST(ServerShards, ATopicIsKnownOnEveryShardWhenItsCreationIsAnswered) {
  ServerStory story({.shards = k_shards});
  story.run([](Reactor& here, Address server) -> Task<void> {
    std::vector<Peer> peers;
    for (int i = 0; i < 8; ++i) peers.push_back(co_await Peer::greeted(here, server));
    for (int i = 0; i < 20; ++i) {
      const std::string name = fmt::format("topic-{}", i);
      EXPECT_NE((co_await peers[0].create(name, 2)).answer<wire::CreateTopicAnswer>(FrameType::create_topic),
                nullptr);
      for (Peer& peer : peers) {
        EXPECT_NE(
            (co_await peer.produce(name, batch_of("x"), 1)).answer<wire::ProduceAnswer>(FrameType::produce),
            nullptr);
      }
      co_await peers[0].remove(name);
      for (Peer& peer : peers) EXPECT_EQ((co_await peer.describe(name)).error(), ErrorCode::unknown_topic);
    }
  });
}

// Produces to one partition, sent without waiting, get rising offsets in the order of sending, whatever their
// sizes, on the owner's own connections and through a hop alike.
TEST(ServerShards, PipelinedProducesKeepTheirOrder) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    ServerStory story({.shards = k_shards, .seed = seed});
    story.run([seed](Reactor& here, Address server) -> Task<void> {
      Peer first = co_await Peer::greeted(here, server);
      co_await first.create("orders", k_shards);
      constexpr std::uint64_t k_requests = 60;
      Bytes stream;
      for (std::uint64_t i = 0; i < k_requests; ++i) {
        const Bytes batch = i % 7 == seed % 7 ? large_batch(70'000 + i) : batch_of(fmt::format("{}", i));
        const Bytes frame = Peer::produce_frame(i, "orders", batch, static_cast<std::uint32_t>(i % k_shards));
        stream.insert(stream.end(), frame.begin(), frame.end());
      }
      here.spawn(
          [](Peer& peer, Bytes bytes) -> Task<void> { co_await peer.send(std::move(bytes)); }(first, stream));
      std::vector<std::int64_t> offsets(k_requests);
      for (std::uint64_t i = 0; i < k_requests; ++i) {
        const Frame frame = co_await first.receive();
        const auto* answer = frame.answer<wire::ProduceAnswer>(FrameType::produce);
        if (answer == nullptr) co_return;
        offsets[frame.preamble.correlation] = answer->base_offset();
      }
      for (std::uint64_t i = 0; i < k_requests; ++i)
        EXPECT_EQ(offsets[i], i / k_shards) << "request " << i << " seed " << seed;
    });
  }
}

TEST(ServerShards, AFetchWaitsOnTheOwnerOfItsPartition) {
  ServerStory story({.shards = k_shards});
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer writer = co_await Peer::greeted(here, server);
    co_await writer.create("orders", k_shards);
    std::vector<Peer> readers;
    for (std::uint32_t p = 0; p < k_shards; ++p) {
      readers.push_back(co_await Peer::greeted(here, server));
      flatbuffers::FlatBufferBuilder builder;
      builder.Finish(wire::CreateFetch(
          builder, wire::CreatePartition(builder, builder.CreateString("orders"), nullptr, p), 0, 1, 1000,
          20'000));
      co_await readers.back().send(Peer::frame(FrameType::fetch, 1, builder));
    }
    static_cast<void>(co_await here.sleep(std::chrono::seconds(1)));
    for (std::uint32_t p = 0; p < k_shards; ++p) {
      co_await writer.produce("orders", batch_of(fmt::format("for {}", p)), p);
      EXPECT_THAT(values_of((co_await readers[p].receive()).payload), ElementsAre(fmt::format("for {}", p)));
    }
  });
}

}  // namespace
}  // namespace millrace::test
