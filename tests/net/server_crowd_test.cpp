// Many clients, slow clients, and sizes around every limit.
#include <gtest/gtest.h>

#include "engine/reactor/wait.h"
#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Task<void> pass(Reactor& here, Duration time) {
  static_cast<void>(co_await here.sleep(time));
}

TEST(ServerCrowd, TenThousandIdleConnectionsHoldABlockEach) {
  constexpr std::uint32_t k_connections = 10'000;
  ServerStory story;
  story.setup.server.connections_max = k_connections + 1;
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
    const auto drip = [&](Peer peer, Bytes bytes) -> Task<int> {
      int sent = 0;
      for (; sent < 60 && co_await peer.send(Bytes(1, bytes[static_cast<std::size_t>(sent)])); ++sent) {
        co_await pass(here, seconds(1));
      }
      EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::timed_out);
      EXPECT_TRUE((co_await peer.receive()).ended());
      co_return sent;
    };
    EXPECT_LE(co_await drip(co_await Peer::connect(here, server), Peer::hello_frame()), 8);
    const Bytes frame = Peer::produce_frame(1, "orders", batch_of("x"));
    EXPECT_LE(co_await drip(co_await Peer::greeted(here, server), frame), 14);
    Peer bystander = co_await Peer::greeted(here, server);
    EXPECT_EQ(co_await bystander.counter("closed_no_hello"), 1u);
    EXPECT_EQ(co_await bystander.counter("closed_slow_writer"), 1u);
    EXPECT_EQ(co_await bystander.counter("connections"), 1u);
  });
}

// A batch of exactly this size.
Bytes batch_of_size(std::size_t size) {
  const std::size_t more = large_batch(size).size() - size;
  for (std::size_t value = size - more; value <= size - more + 8; ++value) {
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
    EXPECT_EQ((co_await peer.produce("orders", Bytes(k_batch_size_max + 1))).error(),
              ErrorCode::record_too_large);
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

}  // namespace
}  // namespace millrace::test
