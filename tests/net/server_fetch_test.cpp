// Fetches that wait: what ends the wait, and that nothing is read over and over meanwhile.
#include <cerrno>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

// A connection to every shard, more or less: so that each partition has one on its owner's and one elsewhere.
constexpr std::uint32_t k_shards = 2;
constexpr int k_peers = 8;

Task<std::vector<Peer>> greet(Reactor& here, Address server) {
  std::vector<Peer> peers;
  for (int i = 0; i < k_peers; ++i) peers.push_back(co_await Peer::greeted(here, server));
  co_return peers;
}

class ServerFetch : public testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Shards, ServerFetch, testing::Values(1u, k_shards));

// Whole entries of 300 KiB do not make 1 MiB: what a read gives is less than the minimum, and what there is
// is more. The shard read again and again, and did nothing else.
TEST_P(ServerFetch, AMinimumThatTheMaximumCutsIsAnsweredAtOnce) {
  ServerStory story({.shards = GetParam()});
  story.setup.log.cache_bytes = 16_MiB;
  story.run([](Reactor& here, Address server) -> Task<void> {
    std::vector<Peer> peers = co_await greet(here, server);
    co_await peers[0].create("orders", k_shards);
    for (std::uint32_t p = 0; p < k_shards; ++p) {
      for (int i = 0; i < 5; ++i) co_await peers[0].produce("orders", large_batch(300 << 10), p);
    }
    for (const std::uint32_t max_bytes : {1u << 20, 700'000u, 1000u}) {
      for (std::uint32_t p = 0; p < k_shards; ++p) {
        const std::uint64_t before = co_await peers[0].counter("log_reads_memory");
        for (Peer& peer : peers) {
          const MonotonicTime asked = here.now();
          const Frame frame = co_await peer.fetch(
              "orders", 0,
              {.partition = p, .min_bytes = 1u << 20, .max_bytes = max_bytes, .max_wait_ms = 10'000});
          EXPECT_EQ(values_of(frame.payload).size(), std::max(1u, max_bytes / (300 << 10)));
          EXPECT_LT(here.now() - asked, seconds(1));
        }
        EXPECT_EQ(co_await peers[0].counter("log_reads_memory") - before, k_peers);
      }
    }
  });
}

// What a read of the segments gives may be less than the minimum, too: they were read again until the
// deadline.
TEST_P(ServerFetch, AMinimumBeyondTheFirstChunkOfASegmentIsAnsweredAtOnce) {
  ServerStory story({.shards = GetParam()});
  story.setup.log.cache_bytes = 0;
  story.run([](Reactor& here, Address server) -> Task<void> {
    std::vector<Peer> peers = co_await greet(here, server);
    co_await peers[0].create("orders", k_shards);
    for (std::uint32_t p = 0; p < k_shards; ++p) {
      for (int i = 0; i < 100; ++i) co_await peers[0].produce("orders", large_batch(10'000), p);
    }
    static_cast<void>(co_await here.sleep(seconds(5)));
    for (std::uint32_t p = 0; p < k_shards; ++p) {
      const std::uint64_t before = co_await peers[0].counter("log_reads_cold");
      for (Peer& peer : peers) {
        const MonotonicTime asked = here.now();
        const Frame frame = co_await peer.fetch(
            "orders", 0,
            {.partition = p, .min_bytes = 1u << 20, .max_bytes = 1u << 20, .max_wait_ms = 10'000});
        EXPECT_GE(values_of(frame.payload).size(), 1u);
        EXPECT_LT(here.now() - asked, seconds(1));
      }
      EXPECT_EQ(co_await peers[0].counter("log_reads_cold") - before, k_peers);
    }
  });
}

// All that there is stands in a segment, and it is too little.
TEST_P(ServerFetch, AShortLogThatIsNotInMemoryIsReadOnceBeforeTheWaitAndOnceAfterIt) {
  ServerStory story({.shards = GetParam()});
  story.setup.log.cache_bytes = 0;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    co_await peer.produce("orders", batch_of("first"));
    static_cast<void>(co_await here.sleep(seconds(5)));
    const std::uint64_t before = co_await peer.counter("log_reads_cold");
    const MonotonicTime asked = here.now();
    const Frame frame = co_await peer.fetch("orders", 0, {.min_bytes = 100'000, .max_wait_ms = 5'000});
    EXPECT_THAT(values_of(frame.payload), ElementsAre("first"));
    EXPECT_GE(here.now() - asked, milliseconds(5'000));
    EXPECT_LE(co_await peer.counter("log_reads_cold") - before, 2u);
  });
}

TEST_P(ServerFetch, TheMinimumCountsWhatWasThereBeforeTheWait) {
  ServerStory story({.shards = GetParam()});
  story.run([](Reactor& here, Address server) -> Task<void> {
    std::vector<Peer> peers = co_await greet(here, server);
    Peer& writer = peers.front();
    co_await writer.create("orders");
    co_await writer.produce("orders", large_batch(60'000));
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateFetch(builder, wire::CreatePartition(builder, builder.CreateString("orders")),
                                     0, 100'000, 1u << 20, 20'000));
    for (std::size_t i = 1; i < peers.size(); ++i)
      co_await peers[i].send(Peer::frame(FrameType::fetch, 1, builder));
    static_cast<void>(co_await here.sleep(seconds(3)));
    co_await writer.produce("orders", large_batch(10'000));
    static_cast<void>(co_await here.sleep(seconds(3)));
    EXPECT_EQ(co_await writer.counter("requests_in_flight"), peers.size());
    const MonotonicTime before = here.now();
    co_await writer.produce("orders", large_batch(40'000));
    for (std::size_t i = 1; i < peers.size(); ++i)
      EXPECT_EQ(values_of((co_await peers[i].receive()).payload).size(), 3u);
    EXPECT_LT(here.now() - before, seconds(1));
  });
}

// A wait that the log's failure ended found nothing more to read and waited again, in the same turn for ever,
// where no message of another shard could come between.
TEST_P(ServerFetch, AFetchThatWaitsEndsWithTheLogAndTheNodeEndsToo) {
  ServerStory story({.shards = GetParam()});
  story.start();
  ASSERT_TRUE(story.started()) << story.why();
  story.client().start(1, [&](Reactor& here) -> Task<void> {
    std::vector<Peer> peers = co_await greet(here, story.server().address(7420));
    Peer writer = co_await Peer::greeted(here, story.server().address(7420));
    co_await writer.create("orders", k_shards);
    for (std::uint32_t p = 0; p < k_shards; ++p) {
      flatbuffers::FlatBufferBuilder builder;
      builder.Finish(wire::CreateFetch(
          builder, wire::CreatePartition(builder, builder.CreateString("orders"), nullptr, p), 0, 1, 1u << 20,
          20'000));
      for (Peer& peer : peers) co_await peer.send(Peer::frame(FrameType::fetch, p, builder));
    }
    static_cast<void>(co_await here.sleep(seconds(1)));
    story.server().disk().faults().fail(
        {.matches =
             [](const SimAccess& access) { return access.verb == Verb::write && access.sync == Sync::data; },
         .error = EIO,
         .times = SimFaults::k_forever});
    // The last partition's shard is the last: where there are several, another one has to learn of it.
    for (std::uint32_t p = k_shards; p-- > 0;)
      co_await writer.send(Peer::produce_frame(p, "orders", batch_of("lost"), p));
    for (Peer& peer : peers) {
      for (Frame frame = co_await peer.receive(); !frame.ended(); frame = co_await peer.receive())
        EXPECT_EQ(frame.error(), ErrorCode::sync_failed);
    }
  });
  ASSERT_EQ(story.world().run_until([&] { return !story.server().running(); }), SimEnd::reached)
      << story.world().waiting();
  ASSERT_TRUE(story.result() && !*story.result());
  EXPECT_EQ(story.result()->error().code, ErrorCode::sync_failed);
  ASSERT_EQ(story.world().run_until([&] { return !story.client().running(); }), SimEnd::reached);
}

}  // namespace
}  // namespace millrace::test
