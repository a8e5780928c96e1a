// A shard's memory when somebody takes as much of it as can be had: that the log goes on, others are served,
// and it all comes back. The client machine has pools of the same size.
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
    // Received into buffers of 64 KiB each, and too large for what these leave.
    const Bytes batch = large_batch(60'000);
    std::vector<Peer> peers;
    for (int i = 0; i < 40; ++i) peers.push_back(co_await Peer::greeted(here, server));
    for (std::uint32_t i = 0; i < peers.size(); ++i) {
      here.spawn([](Peer peer, Bytes frame) -> Task<void> {
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
  constexpr std::uint32_t k_owners = 5;
  ServerStory story({.shards = k_owners, .buffers = {.bytes_max = 48_MiB, .idle_bytes_max = 0}});
  story.setup.log.cache_bytes = 14_MiB;
  story.setup.log.unplaced_bytes_max = 14_MiB;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders", k_owners);
    const Bytes batch = large_batch(500'000);
    for (std::uint32_t i = 0; i < 200; ++i) {
      const Frame frame = co_await peer.produce("orders", batch, i % k_owners);
      EXPECT_NE(frame.answer<wire::ProduceAnswer>(FrameType::produce), nullptr);
    }
    for (std::uint32_t i = 0; i < k_owners; ++i) {
      EXPECT_LE(story.server().shard(i).buffers().bytes_in_use_max(), 40_MiB);
    }
  });
}

// ---- receiving

std::uint64_t received_bytes(ServerStory& story) {
  return story.server().shard(0).buffers().receive_bytes_in_use();
}

Bytes part_of(const Bytes& bytes, std::size_t from, std::size_t to) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.begin() + static_cast<std::ptrdiff_t>(to)};
}

Task<void> expect_produces(Reactor& here, Peer& peer, const Bytes& batch, Duration within) {
  const MonotonicTime before = here.now();
  const Frame frame = co_await peer.produce("orders", batch);
  EXPECT_NE(frame.answer<wire::ProduceAnswer>(FrameType::produce), nullptr);
  EXPECT_LT(here.now() - before, within);
}

// 32 bytes that announce a large table took 512 KiB each, before any of it had come.
TEST(ServerMemory, WhatAFrameAnnouncesTakesNone) {
  ServerStory story;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    const Bytes whole = Peer::produce_frame(1, "orders", large_batch(60'000));
    std::vector<Peer> peers;
    for (int i = 0; i < 512; ++i) {
      peers.push_back(co_await Peer::greeted(here, server));
      // The last of them stop within a payload that is not received in place.
      co_await peers.back().send(part_of(whole, 0, i < 412 ? k_preamble_size : 1000));
    }
    co_await pass(here, milliseconds(500));
    EXPECT_LE(received_bytes(story), 513 * std::uint64_t{k_receive_size_min});
    EXPECT_LE(co_await bystander.counter("request_bytes_in_flight"), 100 * 64_KiB);
    co_await expect_produces(here, bystander, batch_of("x"), milliseconds(100));
    Peer table = co_await Peer::greeted(here, server);
    Bytes preamble(k_preamble_size);
    encode_preamble({.type = number(FrameType::fetch), .table_length = k_request_table_size_max + 1},
                    Bytes(k_request_table_size_max + 1), preamble);
    co_await table.send(preamble);
    EXPECT_EQ((co_await table.receive()).error(), ErrorCode::frame_too_large);
  });
}

// They had all there is for payloads, for more than two minutes, and whatever had a payload waited behind
// them.
TEST(ServerMemory, SlowUploadsNeitherStopSmallProducesNorLargeOnes) {
  ServerStory story;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    const Bytes upload = Peer::produce_frame(1, "orders", large_batch(8'000'000));
    std::vector<Peer> peers;
    for (int i = 0; i < 8; ++i) {
      peers.push_back(co_await Peer::greeted(here, server));
      co_await peers.back().send(part_of(upload, 0, 100'000));
    }
    co_await pass(here, milliseconds(10));
    co_await expect_produces(here, bystander, batch_of("x"), milliseconds(50));
    co_await expect_produces(here, bystander, large_batch(50'000), milliseconds(50));
    co_await expect_produces(here, bystander, large_batch(500'000), seconds(2));
    EXPECT_GE(co_await bystander.counter("closed_slow_writer"), 3u);
  });
}

// Nobody waits for the memory: 64 KiB/s do, and who stops goes after ten seconds more, whatever it announced.
TEST(ServerMemory, AnUploadThatStopsIsJudgedByWhatHasCome) {
  ServerStory story;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.send(part_of(Peer::produce_frame(1, "orders", large_batch(8'000'000)), 0, 100'000));
    co_await pass(here, seconds(9));
    EXPECT_EQ(co_await bystander.counter("closed_slow_writer"), 0u);
    co_await pass(here, seconds(4));
    EXPECT_EQ(co_await bystander.counter("closed_slow_writer"), 1u);
    EXPECT_EQ(co_await bystander.counter("request_bytes_in_flight"), 0u);
  });
}

// A connection that was busy kept its large block for as long as it was idle.
TEST(ServerMemory, AnIdleConnectionKeepsASmallBlock) {
  ServerStory story;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    std::vector<Peer> peers;
    for (int i = 0; i < 10; ++i) peers.push_back(co_await Peer::greeted(here, server));
    std::uint64_t most = 0;
    for (Peer& peer : peers) {
      for (int i = 0; i < 50; ++i) {
        EXPECT_EQ((co_await peer.produce("none", large_batch(30'000))).error(), ErrorCode::unknown_topic);
        most = std::max(most, received_bytes(story));
      }
    }
    EXPECT_GE(most, 9 * std::uint64_t{k_receive_size_min} + 32_KiB);
    co_await pass(here, seconds(2));
    EXPECT_LE(received_bytes(story), 10 * std::uint64_t{k_receive_size_min});
    for (Peer& peer : peers) EXPECT_EQ(co_await peer.counter("connections"), 10u);
  });
}

// Blocks that requests refer to count until these are done, and fetches that wait refer to none.
TEST(ServerMemory, RequestsUnderWayHoldNoMoreBlocksThanTheirPart) {
  ServerStory story;
  story.setup.server.receive_bytes_max = 256_KiB;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    auto& faults = story.server().disk().faults();
    faults.latency_min = faults.latency_max = milliseconds(100);
    std::vector<Peer> peers;
    constexpr std::uint64_t k_each = 200;
    for (std::uint64_t i = 0; i < 10; ++i) {
      peers.push_back(co_await Peer::greeted(here, server));
      Bytes stream;
      for (std::uint64_t n = 0; n < k_each; ++n) {
        const Bytes frame = Peer::produce_frame(n, "orders", large_batch(1000));
        stream.insert(stream.end(), frame.begin(), frame.end());
      }
      co_await peers.back().send(stream);
    }
    for (int i = 0; i < 50; ++i) {
      EXPECT_LE(received_bytes(story), 256_KiB + 11 * k_receive_size_min);
      co_await pass(here, milliseconds(5));
    }
    for (Peer& peer : peers) {
      for (std::uint64_t n = 0; n < k_each; ++n)
        EXPECT_NE((co_await peer.receive()).answer<wire::ProduceAnswer>(FrameType::produce), nullptr);
    }
    EXPECT_EQ(co_await bystander.counter("closed_no_memory"), 0u);
  });
}

// ---- answers

Bytes fetch_frame(std::uint32_t max_bytes, std::int64_t offset = 0) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateFetch(builder, wire::CreatePartition(builder, builder.CreateString("orders")),
                                   offset, 1, max_bytes, 0));
  return Peer::frame(FrameType::fetch, 1, builder);
}

Bytes repeated(const Bytes& frame, int times) {
  Bytes bytes;
  for (int i = 0; i < times; ++i) bytes.insert(bytes.end(), frame.begin(), frame.end());
  return bytes;
}

Task<void> send_all(Peer peer, Bytes bytes) {
  co_await peer.send(std::move(bytes));
}

// Readers who take nothing had all the memory for answers, until ten seconds and more had passed.
TEST(ServerMemory, AReaderIsServedBesideThirtyWhoTakeNothing) {
  for (const std::uint32_t max_bytes : {210'000u, 1u << 20, 8u << 20}) {
    ServerStory story;
    story.setup.server.answer_bytes_max = 8_MiB;
    story.setup.server.send_queue_max = 4_MiB;
    story.setup.log.cache_bytes = 16_MiB;
    story.run([&](Reactor& here, Address server) -> Task<void> {
      Peer good = co_await Peer::greeted(here, server);
      co_await good.create("orders");
      for (int i = 0; i < 50; ++i) co_await good.produce("orders", large_batch(200'000));
      std::vector<Peer> greedy;
      for (int i = 0; i < 30; ++i) {
        greedy.push_back(co_await Peer::greeted(here, server));
        here.spawn(send_all(greedy.back(), repeated(fetch_frame(max_bytes), 40)));
      }
      for (int i = 0; i < 40; ++i) {
        const MonotonicTime before = here.now();
        EXPECT_GE(values_of((co_await good.fetch("orders", i, {.max_bytes = max_bytes})).payload).size(), 1u);
        EXPECT_LT(here.now() - before, seconds(2));
        co_await pass(here, milliseconds(20));
      }
      EXPECT_EQ(co_await good.counter("closed_no_memory"), 0u);
    });
  }
}

// Small entries that are asked for one by one, each out of a large buffer: answers held some three hundred
// times what they were counted as.
TEST(ServerMemory, ScatteredAnswersHoldNoMoreThanTwiceTheirBytes) {
  ServerStory story;
  story.setup.server.answer_bytes_max = 4_MiB;
  story.setup.server.send_queue_max = 2_MiB;
  story.setup.log.cache_bytes = 0;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer good = co_await Peer::greeted(here, server);
    co_await good.create("orders");
    for (int i = 0; i < 400; ++i) co_await good.produce("orders", large_batch(i % 2 == 0 ? 3000 : 60'000));
    co_await pass(here, seconds(3));
    const std::uint64_t before = story.server().shard(0).buffers().bytes_in_use();
    std::vector<Peer> greedy;
    for (int i = 0; i < 20; ++i) {
      greedy.push_back(co_await Peer::greeted(here, server));
      Bytes frames;
      for (std::int64_t n = 0; n < 400; ++n) {
        const Bytes frame = fetch_frame(1, n);
        frames.insert(frames.end(), frame.begin(), frame.end());
      }
      here.spawn(send_all(greedy.back(), std::move(frames)));
    }
    for (int i = 0; i < 40; ++i) {
      co_await pass(here, milliseconds(50));
      // Twice the answers, the readers' blocks, their read-ahead.
      EXPECT_LE(story.server().shard(0).buffers().bytes_in_use(), before + 8_MiB + 1_MiB + 32_MiB);
    }
    EXPECT_GE(values_of((co_await good.fetch("orders", 0, {})).payload).size(), 1u);
  });
}

// At least one entry comes, and it may be 8 MiB: sixteen of them were made at the same time, at one byte
// each.
TEST(ServerMemory, AnEntryLargerThanAskedForIsMadeWhenThereIsRoomForIt) {
  for (const std::uint64_t cache : {std::uint64_t{0}, 64_MiB}) {
    ServerStory story;
    story.setup.log.cache_bytes = cache;
    story.run([&](Reactor& here, Address server) -> Task<void> {
      Peer good = co_await Peer::greeted(here, server);
      co_await good.create("orders");
      co_await good.produce("orders", large_batch(8'000'000));
      co_await pass(here, seconds(3));
      const std::uint64_t before = story.server().shard(0).buffers().bytes_in_use();
      std::vector<Peer> greedy;
      for (int i = 0; i < 16; ++i) {
        greedy.push_back(co_await Peer::greeted(here, server));
        here.spawn(send_all(greedy.back(), repeated(fetch_frame(1), 4)));
      }
      for (int i = 0; i < 20; ++i) {
        co_await pass(here, milliseconds(10));
        EXPECT_LE(story.server().shard(0).buffers().bytes_in_use(), before + 2 * k_answer_bytes_max + 1_MiB);
      }
      const MonotonicTime asked = here.now();
      EXPECT_EQ(values_of((co_await good.fetch("orders", 0, {.max_bytes = 1})).payload).size(), 1u);
      EXPECT_LT(here.now() - asked, seconds(4));
    });
  }
}

// 80 KiB each, for a question of 50 bytes, and the shard did nothing else.
TEST(ServerMemory, AThousandDescribesNeitherTakeItNorTheShard) {
  ServerStory story;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer good = co_await Peer::greeted(here, server);
    co_await good.create("orders");
    co_await good.create("many", k_partitions_max);
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateDescribeTopic(builder, builder.CreateString("many")));
    const std::uint64_t before = story.server().shard(0).buffers().bytes_in_use();
    Peer greedy = co_await Peer::greeted(here, server);
    here.spawn(send_all(greedy, repeated(Peer::frame(FrameType::describe_topic, 1, builder), 1024)));
    for (int i = 0; i < 20; ++i) {
      co_await expect_produces(here, good, batch_of("x"), milliseconds(50));
      EXPECT_LE(story.server().shard(0).buffers().bytes_in_use(), before + 2 * k_send_queue_max + 1_MiB);
    }
    for (int i = 0; i < 1024; ++i) {
      EXPECT_NE((co_await greedy.receive()).answer<wire::DescribeTopicAnswer>(FrameType::describe_topic),
                nullptr);
    }
  });
}

// Small answers and errors are not promised: who does not take them is read no more, and goes when too many
// wait.
TEST(ServerMemory, SmallAnswersThatNobodyTakesAreBoundedToo) {
  ServerStory story;
  story.setup.server.answer_bytes_max = story.setup.server.send_queue_max = 256_KiB;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer good = co_await Peer::greeted(here, server);
    co_await good.create("orders");
    const std::uint64_t before = story.server().shard(0).buffers().bytes_in_use();
    std::vector<Peer> greedy;
    for (std::uint64_t i = 0; i < 50; ++i) {
      greedy.push_back(co_await Peer::greeted(here, server));
      const Bytes frame = Peer::produce_frame(i, "none", batch_of("x"));
      here.spawn(send_all(greedy.back(), repeated(frame, 5000)));
    }
    for (int i = 0; i < 20; ++i) {
      co_await pass(here, milliseconds(100));
      EXPECT_LE(story.server().shard(0).buffers().bytes_in_use(), before + 2 * 256_KiB + 51 * 128_KiB);
    }
    co_await expect_produces(here, good, batch_of("x"), seconds(1));
  });
}

// A topic of ten thousand waiting fetches was deleted, and some of those who waited were closed instead of
// told.
TEST(ServerMemory, ATopicThatGoesUnderAThousandWaitingFetchesClosesNobody) {
  constexpr int k_readers = 1000;
  ServerStory story;
  story.setup.server.answer_bytes_max = story.setup.server.send_queue_max = 1_MiB;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer other = co_await Peer::greeted(here, server);
    co_await other.create("orders");
    int told = 0;
    Gate gate(here);
    for (int i = 0; i < k_readers; ++i) {
      gate.spawn([](Reactor& reactor, Address to, int& count) -> Task<void> {
        Peer peer = co_await Peer::greeted(reactor, to);
        const Frame frame = co_await peer.fetch("orders", 0, {.max_wait_ms = 30'000});
        if (!frame.ended() && frame.error() == ErrorCode::unknown_topic) ++count;
      }(here, server, told));
    }
    co_await pass(here, seconds(5));
    EXPECT_EQ(co_await other.counter("requests_in_flight"), k_readers + 1u);
    const std::uint64_t before = story.server().shard(0).buffers().bytes_in_use();
    co_await other.remove("orders");
    co_await gate.wait();
    EXPECT_EQ(told, k_readers);
    EXPECT_LE(story.server().shard(0).buffers().bytes_in_use_max(), before + 2_MiB);
    EXPECT_EQ(co_await other.counter("closed_slow_reader"), 0u);
  });
}

// Beside a reader whose answers fill the memory, the answers to small requests pressed it over its bound; and
// the one who had most of it was closed, though it took them as fast as it could.
TEST(ServerMemory, AReaderWhoTakesItsAnswersIsNotClosedForTheAnswersOfManyOthers) {
  constexpr int k_writers = 1000, k_each = 5;
  ServerStory story;
  story.setup.server.answer_bytes_max = story.setup.server.send_queue_max = 1_MiB;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer reader = co_await Peer::greeted(here, server);
    co_await reader.create("orders");
    co_await reader.create("read");
    co_await reader.produce("read", large_batch(800'000));
    int answered = 0;
    bool written = false;
    Gate gate(here);
    for (int i = 0; i < k_writers; ++i) {
      gate.spawn([](Reactor& reactor, Address to, int& count) -> Task<void> {
        Peer peer = co_await Peer::greeted(reactor, to);
        for (int n = 0; n < k_each; ++n) {
          const Frame frame = co_await peer.produce("orders", batch_of("x"));
          if (frame.preamble.type == answer_to(FrameType::produce)) ++count;
        }
      }(here, server, answered));
    }
    here.spawn([](Gate& writing, bool& done) -> Task<void> {
      co_await writing.wait();
      done = true;
    }(gate, written));
    while (!written)
      EXPECT_EQ(values_of((co_await reader.fetch("read", 0, {.max_bytes = 1})).payload).size(), 1u);
    EXPECT_EQ(answered, k_writers * k_each);
    EXPECT_EQ(co_await reader.counter("closed_slow_reader"), 0u);
  });
}

// ---- the plan

std::uint64_t planned_sum(const BufferPool::Options& pool, const ServerOptions& server,
                          const ShardLogOptions& log) {
  return std::uint64_t{server.connections_max} * k_receive_size_min + server.receive_bytes_max +
         server.small_request_bytes_max + server.large_request_bytes_max + 2 * server.answer_bytes_max +
         2 * (log.cache_bytes + log.unplaced_bytes_max) + log.read_ahead_bytes_max + k_search_bytes_max +
         pool.reserve_bytes;
}

TEST(MemoryPlan, GivesEveryPartItsDefaultByDefault) {
  BufferPool::Options pool{.bytes_max = k_buffer_bytes_default};
  ServerOptions server;
  ShardLogOptions log;
  ASSERT_TRUE(plan_memory(pool, server, log, 2));
  EXPECT_EQ(planned_sum(pool, server, log), k_buffer_bytes_default);
  EXPECT_EQ(pool.reserve_bytes, k_log_reserve_bytes);
  EXPECT_EQ(server.large_request_bytes_max, k_large_request_bytes_max);
  EXPECT_EQ(server.answer_bytes_max, k_answer_bytes_max);
  EXPECT_EQ(server.send_queue_max, k_send_queue_max);
}

TEST(MemoryPlan, IsNeverMoreThanThePoolAndSaysWhatWouldDo) {
  std::uint64_t refused = 0;
  for (std::uint64_t bytes = 16_MiB; bytes < 3_GiB; bytes += bytes / 3) {
    BufferPool::Options pool{.bytes_max = bytes};
    ServerOptions server{.connections_max = 10'000};
    ShardLogOptions log;
    const auto planned = plan_memory(pool, server, log, 2);
    if (!planned) {
      EXPECT_THAT(planned.error().message, HasSubstr("--buffer-bytes 387MiB"));
      EXPECT_LT(bytes, 387_MiB);
      ++refused;
      continue;
    }
    EXPECT_GE(bytes, 386_MiB);
    EXPECT_LE(planned_sum(pool, server, log), bytes);
    EXPECT_GE(server.large_request_bytes_max, 16_MiB);
  }
  EXPECT_GT(refused, 0u);
  BufferPool::Options enough{.bytes_max = 387_MiB};
  ServerOptions server{.connections_max = 10'000};
  ShardLogOptions log;
  EXPECT_TRUE(plan_memory(enough, server, log, 2));
}

}  // namespace
}  // namespace millrace::test
