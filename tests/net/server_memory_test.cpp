// A shard's memory when it runs short: who is told what, and that it goes on by itself. Clients are on the
// same pool sizes, so they keep little.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/memory_plan.h"
#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

Task<void> pass(Reactor& here, Duration time) {
  static_cast<void>(co_await here.sleep(time));
}

// Takes all of the server's buffers but so many bytes.
std::vector<Buffer> take_all_but(ServerStory& story, std::uint64_t left) {
  BufferPool& pool = story.server().shard(0).buffers();
  std::vector<Buffer> taken;
  std::vector<Buffer> kept;
  for (std::uint64_t i = 0; i < left / 4_KiB; ++i) kept.push_back(*pool.acquire(4_KiB));
  for (std::uint64_t size = 16_MiB; size >= 4_KiB; size /= 2) {
    while (auto buffer = pool.acquire(size)) taken.push_back(*std::move(buffer));
  }
  return taken;
}

TEST(ServerMemory, AConnectionThatFindsNoneToReceiveIntoIsToldAndClosed) {
  ServerStory story({.buffers = {.bytes_max = 64_MiB, .idle_bytes_max = 0}});
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer other = co_await Peer::greeted(here, server);
    co_await other.create("orders");
    Peer peer = co_await Peer::greeted(here, server);
    const Bytes frame = Peer::produce_frame(1, "orders", large_batch(20'000));
    {
      const auto taken = take_all_but(story, 8_KiB);
      co_await peer.send(frame);
      EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::overloaded);
      EXPECT_TRUE((co_await peer.receive()).ended());
    }
    EXPECT_EQ(co_await other.counter("closed_no_memory"), 1u);
    {
      // Not even for an error.
      Peer next = co_await Peer::greeted(here, server);
      const auto taken = take_all_but(story, 0);
      co_await next.send(frame);
      EXPECT_TRUE((co_await next.receive()).ended());
    }
    EXPECT_EQ(co_await other.counter("closed_no_memory"), 2u);
    EXPECT_EQ(co_await other.counter("connections"), 1u);
    EXPECT_NE(
        (co_await other.produce("orders", batch_of("x"))).answer<wire::ProduceAnswer>(FrameType::produce),
        nullptr);
  });
}

TEST(ServerMemory, AConnectionWhoseAnswerFindsNoneIsClosed) {
  ServerStory story({.buffers = {.bytes_max = 64_MiB, .idle_bytes_max = 0}});
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer other = co_await Peer::greeted(here, server);
    co_await other.create("orders");
    {
      Peer peer = co_await Peer::greeted(here, server);
      const auto taken = take_all_but(story, 0);
      flatbuffers::FlatBufferBuilder builder;
      builder.Finish(wire::CreateStatus(builder));
      co_await peer.send(Peer::frame(FrameType::status, 1, builder));
      EXPECT_TRUE((co_await peer.receive()).ended());
    }
    EXPECT_EQ(co_await other.counter("closed_no_memory"), 1u);
    EXPECT_EQ(co_await other.counter("connections"), 1u);
    EXPECT_EQ(co_await other.counter("requests_in_flight"), 1u);
  });
}

TEST(ServerMemory, ALargeBatchThatFindsNoneIsRefusedAndTheConnectionGoesOn) {
  ServerStory story({.buffers = {.bytes_max = 64_MiB, .idle_bytes_max = 0}});
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    {
      const auto taken = take_all_but(story, 64_KiB);
      const Frame frame = co_await peer.produce("orders", large_batch(300'000));
      EXPECT_EQ(frame.error(), ErrorCode::overloaded);
      EXPECT_TRUE(frame.error_table()->retryable());
    }
    EXPECT_EQ(co_await peer.counter("requests_refused"), 1u);
    const Frame again = co_await peer.produce("orders", large_batch(300'000));
    EXPECT_NE(again.answer<wire::ProduceAnswer>(FrameType::produce), nullptr);
  });
}

// Producers who do not wait for the disk fill the pool; then the log had no memory for the commit that would
// have freed it, and everything stood still for ever.
TEST(ServerMemory, ProducersWhoFillItDoNotStopTheLog) {
  ServerStory story({.buffers = {.bytes_max = 16_MiB, .idle_bytes_max = 0, .reserve_bytes = 8_MiB}});
  story.setup.log.unplaced_bytes_max = 64_MiB;
  story.setup.log.cache_bytes = 1_MiB;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer patient = co_await Peer::greeted(here, server);
    co_await patient.create("orders", 4);
    story.server().disk().faults().latency_min = story.server().disk().faults().latency_max =
        milliseconds(200);
    const Bytes batch = large_batch(70'000);
    std::vector<Peer> peers;
    for (int i = 0; i < 40; ++i) peers.push_back(co_await Peer::greeted(here, server));
    for (std::uint32_t i = 0; i < peers.size(); ++i) {
      here.spawn([](Peer& peer, Bytes frame) -> Task<void> {
        for (int sent = 0; sent < 20; ++sent) {
          if (!co_await peer.send(frame)) co_return;
        }
      }(peers[i], Peer::produce_frame(1, "orders", batch, i % 4, wire::Ack::leader)));
    }
    co_await pass(here, seconds(5));
    EXPECT_GE(story.server().shard(0).buffers().bytes_in_use_max(), 7_MiB);
    for (;;) {
      const Frame frame = co_await patient.produce("orders", batch_of("patient"));
      if (frame.preamble.type == answer_to(FrameType::produce)) break;
      EXPECT_EQ(frame.error(), ErrorCode::overloaded);
      co_await pass(here, milliseconds(100));
    }
  });
}

// A client of each kind that takes what it can get and gives nothing back.
struct Greedy {
  Bytes bytes;
  int connections = 0;
};

std::vector<Greedy> greedy_clients() {
  const auto half = [](Bytes frame) {
    frame.resize(frame.size() / 2);
    return frame;
  };
  const auto repeated = [](const Bytes& frame, int times) {
    Bytes bytes;
    for (int i = 0; i < times; ++i) bytes.insert(bytes.end(), frame.begin(), frame.end());
    return bytes;
  };
  flatbuffers::FlatBufferBuilder fetch;
  fetch.Finish(wire::CreateFetch(fetch, wire::CreatePartition(fetch, fetch.CreateString("orders")), 0, 1,
                                 1u << 20, 0));
  return {
      {.bytes = {}, .connections = 200},  // idle
      {.bytes = half(Peer::produce_frame(1, "orders", large_batch(60'000))),
       .connections = 200},  // receive blocks
      {.bytes = half(Peer::produce_frame(1, "orders", large_batch(500'000))), .connections = 60},  // requests
      {.bytes = repeated(Peer::frame(FrameType::fetch, 1, fetch), 100), .connections = 40},        // answers
      // entries without a place
      {.bytes = repeated(Peer::produce_frame(1, "orders", large_batch(70'000), 0, wire::Ack::leader), 40),
       .connections = 12},
  };
}

Task<void> expect_served(Peer& peer, std::uint32_t partition) {
  const Frame produced = co_await peer.produce("orders", batch_of("mine"), partition);
  const auto* answer = produced.answer<wire::ProduceAnswer>(FrameType::produce);
  if (answer == nullptr) co_return;
  const Frame fetched = co_await peer.fetch("orders", answer->base_offset(), {.partition = partition});
  EXPECT_NE(fetched.answer<wire::FetchAnswer>(FrameType::fetch), nullptr);
}

TEST(ServerMemory, AllItsPartsFullAtOnceAreNeverMoreThanItAndOthersAreServed) {
  ServerStory::Options options{.buffers = {.bytes_max = 128_MiB, .idle_bytes_max = 0}};
  ServerOptions server_options{.connections_max = 1000};
  ShardLogOptions log{.cache_bytes = 16_MiB, .unplaced_bytes_max = 24_MiB, .ballast_size = 64_KiB};
  const auto planned = plan_memory(options.buffers, server_options, log);
  ASSERT_TRUE(planned) << planned.error().message;
  ServerStory story(options);
  std::uint64_t max_in_use = 0;
  story.setup.server = server_options;
  story.setup.log = log;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders", 4);
    // More than the cache holds, so that the first of it is read from the disk.
    for (int i = 0; i < 40; ++i) co_await bystander.produce("orders", large_batch(900'000));
    auto& faults = story.server().disk().faults();
    faults.latency_min = faults.latency_max = milliseconds(50);
    std::vector<Peer> peers;
    for (const Greedy& greedy : greedy_clients()) {
      for (int i = 0; i < greedy.connections; ++i) {
        peers.push_back(co_await Peer::greeted(here, server));
        if (!greedy.bytes.empty()) {
          here.spawn([](Peer peer, Bytes bytes) -> Task<void> { co_await peer.send(std::move(bytes)); }(
                                                    std::move(peers.back()), greedy.bytes));
          peers.pop_back();
        }
      }
    }
    for (int i = 0; i < 60; ++i) {
      co_await expect_served(bystander, 1);
      co_await pass(here, milliseconds(250));
    }
    EXPECT_EQ(co_await bystander.counter("closed_no_memory"), 0u);
    EXPECT_EQ(co_await bystander.counter("requests_refused"), 0u);
    max_in_use = story.server().shard(0).buffers().bytes_in_use_max();
  });
  EXPECT_LE(max_in_use, options.buffers.bytes_max);
  EXPECT_GT(max_in_use, options.buffers.bytes_max / 2);
}

TEST(MemoryPlan, LeavesEveryPartItsDefaultByDefault) {
  BufferPool::Options pool{.bytes_max = k_buffer_bytes_default};
  ServerOptions server;
  ShardLogOptions log;
  ASSERT_TRUE(plan_memory(pool, server, log));
  EXPECT_EQ(pool.reserve_bytes, k_log_reserve_bytes);
  EXPECT_EQ(server.request_bytes_max, k_request_bytes_max);
  EXPECT_EQ(server.answer_bytes_max, k_answer_bytes_max);
  EXPECT_EQ(server.send_queue_max, k_send_queue_max);
  EXPECT_EQ(server.receive_bytes_max, k_receive_bytes_max);
  EXPECT_EQ(log.read_ahead_bytes_max, k_read_ahead_bytes_max);
}

TEST(MemoryPlan, IsNeverMoreThanThePoolAndSaysWhatWouldDo) {
  for (std::uint64_t bytes = 16_MiB; bytes < 3_GiB; bytes += bytes / 3) {
    BufferPool::Options pool{.bytes_max = bytes};
    ServerOptions server{.connections_max = 10'000};
    ShardLogOptions log;
    const auto planned = plan_memory(pool, server, log);
    if (!planned) {
      EXPECT_THAT(planned.error().message, HasSubstr("give at least 252 MiB"));
      EXPECT_LT(bytes, 252_MiB);
      continue;
    }
    EXPECT_LE(std::uint64_t{server.connections_max} * k_receive_size_min + server.receive_bytes_max +
                  server.request_bytes_max + server.answer_bytes_max + log.cache_bytes +
                  log.unplaced_bytes_max + log.read_ahead_bytes_max + pool.reserve_bytes,
              bytes);
    EXPECT_GE(server.request_bytes_max, 16_MiB);
  }
}

// A connection that was busy kept its large block for as long as it was idle.
TEST(ServerMemory, AnIdleConnectionKeepsASmallBlock) {
  ServerStory story;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    co_await pass(here, seconds(2));
    std::vector<Peer> peers;
    for (int i = 0; i < 50; ++i) peers.push_back(co_await Peer::greeted(here, server));
    co_await pass(here, seconds(2));
    const std::uint64_t before = co_await bystander.counter("buffer_bytes");
    Bytes stream;
    constexpr int k_requests = 2000;
    for (std::uint64_t i = 0; i < k_requests; ++i) {
      const Bytes frame = Peer::produce_frame(i, "none", batch_of("small"));
      stream.insert(stream.end(), frame.begin(), frame.end());
    }
    for (Peer& peer : peers) {
      co_await peer.send(stream);
      for (int i = 0; i < k_requests; ++i)
        EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::unknown_topic);
    }
    EXPECT_GE(co_await bystander.counter("buffer_bytes"), before + 50 * 16_KiB);
    co_await pass(here, seconds(2));
    EXPECT_EQ(co_await bystander.counter("buffer_bytes"), before);
    for (Peer& peer : peers) EXPECT_GT(co_await peer.counter("connections"), 50u);
  });
}

// Frames that are begun and not finished, each as large as one may be that is not received in place.
TEST(ServerMemory, HalfFramesOfManyConnectionsTakeNoMoreThanTheirPart) {
  ServerStory story;
  story.setup.server.receive_bytes_max = 4_MiB;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    const std::uint64_t before = co_await bystander.counter("buffer_bytes");
    Bytes half = Peer::produce_frame(1, "orders", large_batch(60'000));
    half.resize(40'000);
    std::vector<Peer> peers;
    for (int i = 0; i < 200; ++i) {
      peers.push_back(co_await Peer::greeted(here, server));
      co_await peers.back().send(half);
    }
    co_await pass(here, seconds(1));
    EXPECT_LE(co_await bystander.counter("buffer_bytes"), before + 200 * k_receive_size_min + 4_MiB);
    // Small requests need none of it.
    EXPECT_EQ((co_await bystander.produce("none", batch_of("x"))).error(), ErrorCode::unknown_topic);
    // Those who hold it are closed as slow writers, and then it is the others' turn.
    Peer late = co_await Peer::greeted(here, server);
    EXPECT_EQ((co_await late.produce("none", large_batch(60'000))).error(), ErrorCode::unknown_topic);
    co_await late.close();
    co_await pass(here, seconds(60));
    EXPECT_EQ(co_await bystander.counter("closed_slow_writer"), 200u);
    EXPECT_EQ(co_await bystander.counter("buffer_bytes"), before);
  });
}

}  // namespace
}  // namespace millrace::test
