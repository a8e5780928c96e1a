// A shard's memory when somebody takes as much of it as can be had: that the log goes on, others are served,
// and it all comes back. The client machine has pools of the same size.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Task<void> pass(Reactor& here, Duration time) {
  static_cast<void>(co_await here.sleep(time));
}

Task<void> produce_until_taken(Reactor& here, Peer& peer, Bytes batch) {
  for (;;) {
    const Frame frame = co_await peer.produce("orders", batch);
    if (frame.preamble.type == answer_to(FrameType::produce)) co_return;
    EXPECT_EQ(frame.error(), ErrorCode::overloaded);
    co_await pass(here, milliseconds(100));
  }
}

// Producers who do not wait for the disk filled the pool; then the log had no memory for the commit that
// would have freed it, and everything stood still for ever.
TEST(ServerMemory, ProducersWhoFillItDoNotStopTheLog) {
  ServerStory story({.buffers = {.bytes_max = 24_MiB, .idle_bytes_max = 0, .reserve_bytes = 12_MiB}});
  story.setup.log.unplaced_bytes_max = 64_MiB;
  story.setup.log.cache_bytes = 1_MiB;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer patient = co_await Peer::greeted(here, server);
    co_await patient.create("orders", 4);
    auto& faults = story.server().disk().faults();
    faults.latency_min = faults.latency_max = milliseconds(200);
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
    EXPECT_GE(story.server().shard(0).buffers().bytes_in_use_max(), 11_MiB);
    co_await produce_until_taken(here, patient, batch_of("patient"));
  });
}

// What comes in by one shard is kept by the shards that own the partitions. Each kept as much as if it were
// its own, several times what the one has, and its clients were refused for ever.
TEST(ServerMemory, WhatOtherShardsKeepLeavesRoomForMore) {
  constexpr std::uint32_t k_shards = 5;
  ServerStory story({.shards = k_shards, .buffers = {.bytes_max = 48_MiB, .idle_bytes_max = 0}});
  story.setup.log.cache_bytes = 14_MiB;
  story.setup.log.unplaced_bytes_max = 14_MiB;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders", k_shards);
    const Bytes batch = large_batch(500'000);
    for (std::uint32_t i = 0; i < 200; ++i) {
      const Frame frame = co_await peer.produce("orders", batch, i % k_shards);
      EXPECT_NE(frame.answer<wire::ProduceAnswer>(FrameType::produce), nullptr);
    }
    for (std::uint32_t i = 0; i < k_shards; ++i) {
      EXPECT_LE(story.server().shard(i).buffers().bytes_in_use_max(), 40_MiB);
    }
  });
}

}  // namespace
}  // namespace millrace::test
