// Many clients, slow clients, and sizes around every limit.
#include <gtest/gtest.h>

#include "engine/reactor/wait.h"
#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ServerCrowd, TenThousandIdleConnectionsHoldABlockEach) {
  constexpr std::uint32_t k_connections = 10'000;
  ServerStory story;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    const std::uint64_t before = co_await bystander.counter("buffer_bytes");
    std::vector<Peer> peers;
    for (std::uint32_t i = 0; i < k_connections; ++i) peers.push_back(co_await Peer::greeted(here, server));
    EXPECT_EQ(co_await bystander.counter("connections"), k_connections + 1);
    EXPECT_LE(co_await bystander.counter("buffer_bytes"),
              before + std::uint64_t{k_connections} * k_receive_size_min);
    EXPECT_NE(
        (co_await bystander.produce("orders", batch_of("x"))).answer<wire::ProduceAnswer>(FrameType::produce),
        nullptr);
    peers.clear();
    co_await pass(here, seconds(2));
    EXPECT_EQ(co_await bystander.counter("connections"), 1u);
    EXPECT_LE(co_await bystander.counter("buffer_bytes"), before + 8_KiB);  // a commit and an answer
  });
}

TEST(ServerCrowd, AThousandBusyConnectionsAreAllAnswered) {
  constexpr int k_connections = 1000, k_each = 10;
  ServerStory story({.shards = 2});
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders", 16);
    int answered = 0;
    Gate gate(here);
    for (int i = 0; i < k_connections; ++i) {
      gate.spawn([](Reactor& reactor, Address to, int number, int& count) -> Task<void> {
        Peer peer = co_await Peer::greeted(reactor, to);
        for (int n = 0; n < k_each; ++n) {
          const Frame frame =
              co_await peer.produce("orders", batch_of("x"), static_cast<std::uint32_t>(number % 16));
          if (frame.answer<wire::ProduceAnswer>(FrameType::produce) != nullptr) ++count;
        }
        co_await peer.close();
      }(here, server, i, answered));
    }
    co_await gate.wait();
    EXPECT_EQ(answered, k_connections * k_each);
    EXPECT_EQ(co_await bystander.counter("produce_records"), std::uint64_t{k_connections} * k_each);
    co_await pass(here, seconds(1));
    EXPECT_EQ(co_await bystander.counter("connections"), 1u);
  });
}

// Before a hello and after one.
TEST(ServerCrowd, AByteASecondIsToldThatItIsTooSlow) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    const auto drip = [](Reactor& reactor, Peer peer, Bytes bytes) -> Task<void> {
      for (const std::byte byte : bytes) {
        if (!co_await peer.send(Bytes(1, byte))) co_return;
        co_await pass(reactor, seconds(1));
      }
    };
    const auto expect_closed = [&](Peer peer, Bytes bytes, Duration after) -> Task<void> {
      const MonotonicTime begun = here.now();
      here.spawn(drip(here, peer, std::move(bytes)));
      EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::timed_out);
      EXPECT_GE(here.now() - begun, after);
      EXPECT_LE(here.now() - begun, after + seconds(2));
      EXPECT_TRUE((co_await peer.receive()).ended());
    };
    co_await expect_closed(co_await Peer::connect(here, server), Peer::hello_frame(),
                           milliseconds(k_hello_deadline_ms));
    co_await expect_closed(co_await Peer::greeted(here, server),
                           Peer::produce_frame(1, "orders", batch_of("x")),
                           milliseconds(k_transfer_deadline_ms));
    Peer bystander = co_await Peer::greeted(here, server);
    EXPECT_EQ(co_await bystander.counter("closed_no_hello"), 1u);
    EXPECT_EQ(co_await bystander.counter("closed_slow_writer"), 1u);
    EXPECT_EQ(co_await bystander.counter("connections"), 1u);
  });
}

// Those who were there first locked out everybody else for ten minutes.
TEST(ServerCrowd, WhoeverIsIdleForLongestMakesPlaceForSomebodyNew) {
  ServerStory story;
  story.setup.server.connections_max = 20;
  story.run([](Reactor& here, Address server) -> Task<void> {
    std::vector<Peer> peers;
    for (int i = 0; i < 20; ++i) peers.push_back(co_await Peer::greeted(here, server));
    {
      Peer early = co_await Peer::connect(here, server);
      EXPECT_EQ((co_await early.receive()).error(), ErrorCode::overloaded);
    }
    co_await pass(here, milliseconds(k_idle_at_least_ms));
    for (int i = 1; i < 20; ++i) co_await peers[static_cast<std::size_t>(i)].counter("connections");
    co_await pass(here, seconds(1));
    Peer late = co_await Peer::greeted(here, server);
    EXPECT_EQ((co_await peers[0].receive()).error(), ErrorCode::timed_out);
    EXPECT_TRUE((co_await peers[0].receive()).ended());
    EXPECT_EQ(co_await late.counter("closed_idle"), 1u);
    EXPECT_EQ(co_await late.counter("connections_refused"), 1u);
    EXPECT_EQ(co_await peers[1].counter("connections"), 20u);
  });
}

// A thousand fetches that wait took the place of everybody's requests.
TEST(ServerCrowd, AConnectionWithHardlyAnyRequestsIsNotRefusedForThoseOfOthers) {
  ServerStory story;
  story.setup.server.requests_max = 50;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    Peer greedy = co_await Peer::greeted(here, server);
    flatbuffers::FlatBufferBuilder at_end;
    at_end.Finish(wire::CreateFetch(at_end, wire::CreatePartition(at_end, at_end.CreateString("orders")), 0,
                                    1, 1000, 5'000));
    for (std::uint64_t i = 0; i < 60; ++i) co_await greedy.send(Peer::frame(FrameType::fetch, i, at_end));
    co_await pass(here, milliseconds(100));
    EXPECT_EQ(co_await bystander.counter("requests_in_flight"), 51u);
    EXPECT_EQ(co_await bystander.counter("requests_refused"), 10u);
    EXPECT_NE(
        (co_await bystander.produce("orders", batch_of("x"))).answer<wire::ProduceAnswer>(FrameType::produce),
        nullptr);
  });
}

// A batch of exactly this size.
Bytes batch_of_size(std::size_t size) {
  // The lengths within take as many bytes as in a batch of half the size, or one more.
  const std::size_t more = large_batch(size / 2).size() - size / 2;
  for (std::size_t value = size - more - 2; value <= size - more; ++value) {
    Bytes batch = large_batch(value);
    if (batch.size() == size) return batch;
  }
  ADD_FAILURE() << "no record gives a batch of " << size;
  return {};
}

TEST(ServerCrowd, BatchesOfEverySizeAroundALimitComeBackAsTheyWere) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    std::int64_t offset = 0;
    for (const std::size_t limit :
         {std::size_t{k_send_copy_max}, std::size_t{k_receive_size_min}, std::size_t{k_direct_size_min},
          std::size_t{k_batch_size_target}, std::size_t{k_commit_size_max} / 4,
          std::size_t{k_commit_size_max}, std::size_t{k_batch_size_max}}) {
      // The header before it counts in places, the frame in others.
      for (const int step : {-48, -47, -1, 0, 1}) {
        const std::size_t size = limit + static_cast<std::size_t>(step);
        if (size > k_batch_size_max) continue;
        SCOPED_TRACE(size);
        const Bytes batch = batch_of_size(size);
        const Frame produced = co_await peer.produce("orders", batch);
        const auto* answer = produced.answer<wire::ProduceAnswer>(FrameType::produce);
        if (answer == nullptr) continue;
        EXPECT_EQ(answer->base_offset(), offset);
        const Frame fetched = co_await peer.fetch("orders", offset, {.max_bytes = 1});
        const auto values = values_of(fetched.payload);
        EXPECT_EQ(values.size(), 1u);
        EXPECT_EQ(fetched.payload.size() / 8, (size + 48 + 7) / 8);
        if (values.size() == 1) EXPECT_EQ(values[0].find_first_not_of('x'), std::string::npos);
        ++offset;
      }
    }
    EXPECT_EQ(offset, 7 * 5 - 1);
    Bytes too_large = batch_of_size(k_batch_size_max);
    too_large.push_back({});
    EXPECT_EQ((co_await peer.produce("orders", too_large)).error(), ErrorCode::record_too_large);
  });
}

TEST(ServerCrowd, NamesPartitionsAndHellosOfTheLargestSizeAreTaken) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    const std::string name(k_topic_name_size_max, 'n');
    EXPECT_NE((co_await peer.create(name)).answer<wire::CreateTopicAnswer>(FrameType::create_topic), nullptr);
    EXPECT_NE((co_await peer.produce(name, batch_of("x"))).answer<wire::ProduceAnswer>(FrameType::produce),
              nullptr);
    EXPECT_EQ((co_await peer.create(name + "n")).error(), ErrorCode::invalid_argument);
    EXPECT_NE((co_await peer.create("many", k_partitions_max))
                  .answer<wire::CreateTopicAnswer>(FrameType::create_topic),
              nullptr);
    EXPECT_EQ((co_await peer.create("more", k_partitions_max + 1)).error(), ErrorCode::invalid_argument);
    const auto hello = [](std::size_t size) {
      for (std::size_t client = size - 100;; ++client) {
        flatbuffers::FlatBufferBuilder builder;
        builder.Finish(wire::CreateHello(builder, 1, 1, 0, builder.CreateString(std::string(client, 'c'))));
        Bytes bytes = Peer::frame(FrameType::hello, 1, builder);
        if (bytes.size() >= size) return bytes;
      }
    };
    const Bytes largest = hello(k_hello_size_max);
    EXPECT_EQ(largest.size(), k_hello_size_max);
    Peer fits = co_await Peer::connect(here, server);
    co_await fits.send(largest);
    EXPECT_NE((co_await fits.receive()).answer<wire::HelloAnswer>(FrameType::hello), nullptr);
    Peer does_not = co_await Peer::connect(here, server);
    co_await does_not.send(hello(k_hello_size_max + 1));
    EXPECT_EQ((co_await does_not.receive()).error(), ErrorCode::frame_too_large);
  });
}

// Each topic of 1,024 takes 3.6 MiB of memory and 128 MiB of the disk, and nothing bounded their number.
TEST(ServerCrowd, PartitionsAreBoundedInAll) {
  ServerStory story;
  // Checkpoints of so many need more than a small journal.
  story.setup.storage.journal_file_size = 16_MiB;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    for (std::uint32_t i = 0; i < k_partitions_node_max / k_partitions_max; ++i) {
      const Frame made = co_await peer.create("many" + std::to_string(i), k_partitions_max);
      EXPECT_NE(made.answer<wire::CreateTopicAnswer>(FrameType::create_topic), nullptr);
    }
    EXPECT_EQ((co_await peer.create("one", 1)).error(), ErrorCode::invalid_argument);
    co_await peer.remove("many3");
    EXPECT_NE((co_await peer.create("one", 1)).answer<wire::CreateTopicAnswer>(FrameType::create_topic),
              nullptr);
  });
}

}  // namespace
}  // namespace millrace::test
