// Every bound of a connection and of a shard, reached: what the peer gets, and that others notice nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/limits.h"
#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(ServerBounds, WhoeverSaysNoHelloInTimeIsClosed) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Bytes part = Peer::hello_frame();
    part.resize(part.size() - 1);
    for (const Bytes& bytes : {Bytes(), bytes_of("MRL1"), part}) {
      Peer peer = co_await Peer::connect(here, server);
      co_await peer.send(bytes);
      const MonotonicTime before = here.now();
      EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::timed_out);
      EXPECT_TRUE((co_await peer.receive()).ended());
      EXPECT_GE(here.now() - before, milliseconds(k_hello_deadline_ms) - seconds(1));
      EXPECT_LT(here.now() - before, milliseconds(k_hello_deadline_ms) + seconds(1));
    }
    Peer peer = co_await Peer::greeted(here, server);
    EXPECT_EQ(co_await peer.counter("closed_no_hello"), 3u);
    EXPECT_EQ(co_await peer.counter("requests_failed"), 0u);
  });
}

TEST(ServerBounds, AnIdleConnectionIsClosedAndOneAtWorkIsNot) {
  ServerStory story;
  story.setup.server.idle_timeout = seconds(20);
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer idle = co_await Peer::greeted(here, server);
    Peer busy = co_await Peer::greeted(here, server);
    co_await busy.create("orders");
    // A fetch that waits is work.
    co_await busy.fetch("orders", 0, {.max_wait_ms = 25'000});
    EXPECT_EQ(co_await busy.counter("closed_idle"), 1u);
    EXPECT_EQ(co_await busy.counter("requests_failed"), 0u);
    EXPECT_EQ((co_await idle.receive()).error(), ErrorCode::timed_out);
    EXPECT_TRUE((co_await idle.receive()).ended());
  });
}

// Sends it at 1 MB/s.
Task<void> send_steadily(Reactor& here, Peer peer, Bytes bytes) {
  constexpr std::size_t k_step = 50'000;
  for (std::size_t at = 0; at < bytes.size(); at += k_step) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    co_await peer.send(
        Bytes(begin, begin + static_cast<std::ptrdiff_t>(std::min(k_step, bytes.size() - at))));
    co_await pass(here, milliseconds(50));
  }
}

// While its payload came, a connection counted as idle.
TEST(ServerBounds, ABatchMayTakeLongerThanTheIdleTimeout) {
  ServerStory story;
  story.setup.server.idle_timeout = seconds(5);
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    co_await send_steadily(here, peer, Peer::produce_frame(1, "orders", large_batch(8'000'000)));
    EXPECT_NE((co_await peer.receive()).answer<wire::ProduceAnswer>(FrameType::produce), nullptr);
    // Refused before its payload comes, which is thrown away.
    Bytes too_large = large_batch(8'000'000);
    too_large.resize(k_batch_size_max + 1);
    co_await send_steadily(here, peer, Peer::produce_frame(2, "orders", too_large));
    EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::record_too_large);
    co_await pass(here, seconds(2));
    EXPECT_EQ(co_await peer.counter("closed_idle"), 0u);
  });
}

// Neither one whose payload comes, nor one that waits for the memory of its own.
TEST(ServerBounds, WhoeverIsWithinABatchMakesNoPlaceForSomebodyNew) {
  ServerStory story;
  story.setup.server.connections_max = 3;
  story.setup.server.idle_at_least = seconds(2);
  story.setup.server.large_request_bytes_max = 8_MiB;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer steady = co_await Peer::greeted(here, server);
    co_await steady.create("orders");
    Peer held_back = co_await Peer::greeted(here, server);
    const Bytes large = Peer::produce_frame(1, "orders", large_batch(8'000'000));
    here.spawn(send_steadily(here, steady, large));
    here.spawn(
        [](Peer peer, Bytes bytes) -> Task<void> { co_await peer.send(std::move(bytes)); }(held_back, large));
    co_await pass(here, seconds(1));
    Peer idle = co_await Peer::greeted(here, server);
    co_await pass(here, seconds(3));
    Peer somebody_new = co_await Peer::greeted(here, server);
    EXPECT_EQ((co_await idle.receive()).error(), ErrorCode::timed_out);
    EXPECT_NE((co_await steady.receive()).answer<wire::ProduceAnswer>(FrameType::produce), nullptr);
    EXPECT_NE((co_await held_back.receive()).answer<wire::ProduceAnswer>(FrameType::produce), nullptr);
  });
}

TEST(ServerBounds, ASlowWriterIsClosedAndASteadyOneIsNot) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer steady = co_await Peer::greeted(here, server);
    Peer slow = co_await Peer::greeted(here, server);
    Peer slow_large = co_await Peer::greeted(here, server);
    co_await steady.create("orders");
    const Bytes small = Peer::produce_frame(1, "orders", batch_of("x"));
    const Bytes large = Peer::produce_frame(1, "orders", large_batch(1'000'000));
    const auto part = [](const Bytes& of, std::size_t from, std::size_t to) {
      return Bytes(of.begin() + static_cast<std::ptrdiff_t>(from),
                   of.begin() + static_cast<std::ptrdiff_t>(to));
    };
    co_await slow.send(part(small, 0, 60));
    co_await slow_large.send(part(large, 0, 70'000));
    // 1 MB at twice the least rate: 8 seconds.
    for (std::size_t at = 0; at < large.size(); at += 16'384) {
      co_await steady.send(part(large, at, std::min(at + 16'384, large.size())));
      co_await pass(here, milliseconds(125));
      // A byte now and then does not help.
      if (at == 20 * std::size_t{16'384}) co_await slow.send(part(small, 60, 61));
    }
    EXPECT_EQ((co_await steady.receive()).answer<wire::ProduceAnswer>(FrameType::produce)->base_offset(), 0);
    EXPECT_EQ(co_await steady.counter("closed_slow_writer"), 0u);
    // The large frame has a second more for what has come of it.
    co_await pass(here, seconds(4));
    EXPECT_EQ(co_await steady.counter("closed_slow_writer"), 2u);
    EXPECT_EQ((co_await slow.receive()).error(), ErrorCode::timed_out);
    EXPECT_EQ((co_await slow_large.receive()).error(), ErrorCode::timed_out);
    EXPECT_EQ(co_await steady.counter("request_bytes_in_flight"), 0u);
  });
}

TEST(ServerBounds, ASlowReaderIsReadNoMoreAndThenClosed) {
  ServerStory story;
  story.setup.server.send_queue_max = 2_MiB;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer good = co_await Peer::greeted(here, server);
    co_await good.create("orders");
    for (int i = 0; i < 4; ++i) co_await good.produce("orders", large_batch(500'000));
    Peer slow = co_await Peer::greeted(here, server);
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateFetch(builder, wire::CreatePartition(builder, builder.CreateString("orders")),
                                     0, 1, 600'000, 0));
    for (std::uint64_t i = 0; i < 100; ++i) co_await slow.send(Peer::frame(FrameType::fetch, i, builder));
    co_await pass(here, seconds(2));
    // One answer is being sent; of the others no more are made than may wait.
    EXPECT_LE(co_await good.counter("fetch_bytes"), 3'000'000u);
    EXPECT_EQ(co_await good.counter("closed_slow_reader"), 0u);
    co_await pass(here, seconds(60));
    EXPECT_EQ(co_await good.counter("closed_slow_reader"), 1u);
    EXPECT_EQ(co_await good.counter("connections"), 1u);
    EXPECT_EQ(co_await good.counter("requests_in_flight"), 1u);
  });
  EXPECT_TRUE(story.logged("takes its answers too slowly"));
}

TEST(ServerBounds, MoreConnectionsThanAllowedAreToldSo) {
  ServerStory story;
  story.setup.server.connections_max = 3;
  story.run([](Reactor& here, Address server) -> Task<void> {
    std::vector<Peer> peers;
    for (int i = 0; i < 3; ++i) peers.push_back(co_await Peer::greeted(here, server));
    for (int i = 0; i < 30; ++i) {
      Peer peer = co_await Peer::connect(here, server);
      EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::overloaded);
      EXPECT_TRUE((co_await peer.receive()).ended());
    }
    EXPECT_EQ(co_await peers[0].counter("connections_refused"), 30u);
    co_await peers[2].close();
    co_await pass(here, seconds(1));
    Peer peer = co_await Peer::greeted(here, server);
    EXPECT_EQ(co_await peer.counter("connections"), 3u);
  });
}

// Their requests went on, each with its connection, and nobody counted them: memory and descriptors without a
// bound.
TEST(ServerBounds, ConnectionsThatAreResetCountUntilTheirRequestsAreDone) {
  ServerStory story;
  story.setup.server.connections_max = 10;
  story.setup.server.requests_max = 10;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    {
      Peer before = co_await Peer::greeted(here, server);
      co_await before.create("orders");
    }
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateFetch(builder, wire::CreatePartition(builder, builder.CreateString("orders")),
                                     0, 1, 1000, 30'000));
    Bytes stream = Peer::hello_frame();
    for (std::uint64_t i = 0; i < 2; ++i) {
      const Bytes fetch = Peer::frame(FrameType::fetch, i, builder);
      stream.insert(stream.end(), fetch.begin(), fetch.end());
    }
    for (int i = 0; i < 100; ++i) {
      Peer peer = co_await Peer::connect(here, server);
      co_await peer.send(stream);
      co_await pass(here, milliseconds(5));
      story.world().network().reset(story.client().number(), story.server().number());
    }
    co_await pass(here, milliseconds(5));
    EXPECT_LE(story.world().network().connections(), 10u);
    co_await pass(here, seconds(3));
    Peer after = co_await Peer::greeted(here, server);
    EXPECT_EQ(co_await after.counter("connections_refused"), 90u);
    EXPECT_EQ(co_await after.counter("fetch_requests"), 20u);
    EXPECT_EQ(co_await after.counter("connections"), 1u);
    EXPECT_EQ(co_await after.counter("requests_in_flight"), 1u);
  });
}

TEST(ServerBounds, AConnectionWithTooManyRequestsIsReadNoMoreUntilSomeAreDone) {
  ServerStory story;
  story.setup.server.requests_in_flight_max = 10;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer other = co_await Peer::greeted(here, server);
    co_await other.create("orders");
    Peer peer = co_await Peer::greeted(here, server);
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateFetch(builder, wire::CreatePartition(builder, builder.CreateString("orders")),
                                     0, 1, 1000, 5'000));
    for (std::uint64_t i = 0; i < 25; ++i) co_await peer.send(Peer::frame(FrameType::fetch, i, builder));
    co_await pass(here, seconds(1));
    EXPECT_EQ(co_await other.counter("requests_in_flight"), 10u + 1);
    EXPECT_EQ(co_await other.counter("fetch_requests"), 10u);
    for (int i = 0; i < 25; ++i) EXPECT_TRUE((co_await peer.receive()).payload.empty());
    EXPECT_EQ(co_await other.counter("fetch_requests"), 25u);
  });
}

TEST(ServerBounds, MoreRequestsThanAShardTakesAreRefusedAsOverloaded) {
  ServerStory story;
  story.setup.server.requests_max = 5;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateFetch(builder, wire::CreatePartition(builder, builder.CreateString("orders")),
                                     0, 1, 1000, 5'000));
    for (std::uint64_t i = 0; i < 8; ++i) co_await peer.send(Peer::frame(FrameType::fetch, i, builder));
    for (std::uint64_t i = 5; i < 8; ++i) {
      const Frame frame = co_await peer.receive();
      EXPECT_EQ(frame.error(), ErrorCode::overloaded);
      EXPECT_TRUE(frame.error_table()->retryable());
      EXPECT_EQ(frame.preamble.correlation, i);
    }
    for (int i = 0; i < 5; ++i) EXPECT_TRUE((co_await peer.receive()).payload.empty());
    EXPECT_EQ(co_await peer.counter("requests_refused"), 3u);
    EXPECT_EQ(co_await peer.counter("requests_failed"), 3u);
    EXPECT_EQ(co_await peer.counter("requests_wrong"), 0u);
  });
}

flatbuffers::FlatBufferBuilder produce_until(std::uint32_t deadline_ms) {
  flatbuffers::FlatBufferBuilder builder;
  const auto to = wire::CreatePartition(builder, builder.CreateString("orders"));
  builder.Finish(wire::CreateProduce(builder, to, wire::Ack::leader, deadline_ms));
  return builder;
}

// It holds its payload meanwhile. The disk stands still for longer.
TEST(ServerBounds, ARequestWaitsForRoomNoLongerThanTheLongestDeadline) {
  ServerStory story;
  story.setup.log.cache_bytes = 0;
  story.setup.log.unplaced_bytes_max = 100'000;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    co_await peer.produce("orders", batch_of("first"));
    SlowDisk slow_disk(story, std::chrono::minutes(8));
    const Frame taken = co_await peer.produce("orders", large_batch(60'000), 0, wire::Ack::leader);
    EXPECT_NE(taken.answer<wire::ProduceAnswer>(FrameType::produce), nullptr);
    const MonotonicTime asked = here.now();
    co_await peer.send(Peer::frame(FrameType::produce, 1, produce_until(0xffff'ffff), large_batch(60'000)));
    EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::overloaded);
    EXPECT_GE(here.now() - asked, milliseconds(k_request_deadline_max_ms));
    EXPECT_LT(here.now() - asked, milliseconds(k_request_deadline_max_ms) + seconds(1));
    slow_disk.end();
    co_await pass(here, std::chrono::minutes(8));
  });
}

// It stood behind the other one, heard nothing until that one did, and was appended if there was room by
// then.
TEST(ServerBounds, ARequestBehindOneThatWaitsForRoomHearsAtItsOwnDeadline) {
  ServerStory story;
  story.setup.log.cache_bytes = 0;
  story.setup.log.unplaced_bytes_max = 100'000;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer patient = co_await Peer::greeted(here, server);
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    co_await peer.produce("orders", batch_of("first"));
    SlowDisk slow_disk(story, seconds(50));
    co_await peer.produce("orders", large_batch(60'000), 0, wire::Ack::leader);
    co_await patient.send(Peer::frame(FrameType::produce, 1, produce_until(300'000), large_batch(60'000)));
    co_await pass(here, seconds(1));
    const MonotonicTime asked = here.now();
    co_await peer.send(Peer::frame(FrameType::produce, 2, produce_until(100), batch_of("late")));
    EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::overloaded);
    EXPECT_GE(here.now() - asked, milliseconds(100));
    EXPECT_LT(here.now() - asked, milliseconds(200));
    slow_disk.end();
    EXPECT_EQ((co_await patient.receive()).answer<wire::ProduceAnswer>(FrameType::produce)->base_offset(), 2);
    const Frame next = co_await peer.produce("orders", batch_of("next"));
    EXPECT_EQ(next.answer<wire::ProduceAnswer>(FrameType::produce)->base_offset(), 3);
  });
}

// Otherwise a few peers that ask and go away would take the place of everybody's requests.
TEST(ServerBounds, FetchesThatWaitForAConnectionThatHasGoneEndSoon) {
  for (const std::uint32_t shards : {1u, 2u}) {
    ServerStory story({.shards = shards});
    story.run([](Reactor& here, Address server) -> Task<void> {
      Peer peer = co_await Peer::greeted(here, server);
      co_await peer.create("orders", 2);
      Peer gone = co_await Peer::greeted(here, server);
      // At its bound, too, where no more is read of what it has sent.
      for (std::uint64_t i = 0; i < k_requests_in_flight_max + 500; ++i) {
        flatbuffers::FlatBufferBuilder builder;
        const auto partition = wire::CreatePartition(builder, builder.CreateString("orders"), nullptr, i % 2);
        builder.Finish(wire::CreateFetch(builder, partition, 0, 1, 1000, 30'000));
        co_await gone.send(Peer::frame(FrameType::fetch, i, builder));
      }
      co_await pass(here, seconds(1));
      EXPECT_EQ(co_await peer.counter("requests_in_flight"), k_requests_in_flight_max + 1);
      co_await gone.close();
      co_await pass(here, seconds(3));
      EXPECT_EQ(co_await peer.counter("requests_in_flight"), 1u);
      EXPECT_EQ(co_await peer.counter("connections"), 1u);
    });
  }
}

// Each of its requests read the whole log, for as long as that took.
TEST(ServerBounds, ASearchByTimestampThroughFalseHeadersEndsAtItsDeadline) {
  for (const std::uint32_t shards : {1u, 2u}) {
    ServerStory story({.shards = shards});
    story.setup.server.request_deadline = Duration{0};
    story.run([](Reactor& here, Address server) -> Task<void> {
      Peer peer = co_await Peer::greeted(here, server);
      co_await peer.create("orders");
      co_await peer.produce("orders", batch_of("first", 100));
      const Bytes batch = batch_with_a_false_header(500'000);
      for (int i = 0; i < 6; ++i) co_await peer.produce("orders", batch);
      const Frame found = co_await peer.list_offsets("orders", wire::OffsetSpec::timestamp, 50);
      EXPECT_EQ(found.answer<wire::ListOffsetsAnswer>(FrameType::list_offsets)->offset(), 0);
      const std::uint64_t before = co_await peer.counter("log_read_bytes_memory");
      const Frame refused = co_await peer.list_offsets("orders", wire::OffsetSpec::timestamp, 200);
      EXPECT_EQ(refused.error(), ErrorCode::timed_out);
      EXPECT_LT(co_await peer.counter("log_read_bytes_memory") - before, 2'000'000u);
    });
  }
}

// It was told that its time was over after the first step of the search.
TEST(ServerBounds, ASearchIsAnsweredThoughNothingMoreIsReadFromItsConnection) {
  ServerStory story;
  story.setup.log.cache_bytes = 0;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    for (int i = 0; i < 6; ++i) co_await peer.produce("orders", batch_with_a_false_header(500'000));
    co_await pass(here, seconds(5));
    SlowDisk slow_disk(story, milliseconds(60));
    const MonotonicTime asked = here.now();
    co_await peer.send(Peer::search_frame(1, "orders", 200));
    co_await peer.send(bytes_of("after this, which is no frame, it reads nothing"));
    EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::protocol_error);
    const Frame found = co_await peer.receive();
    const auto* answer = found.answer<wire::ListOffsetsAnswer>(FrameType::list_offsets);
    EXPECT_GT(here.now() - asked, milliseconds(100));
    if (answer != nullptr) EXPECT_EQ(answer->offset(), 6);
    EXPECT_TRUE((co_await peer.receive()).ended());
  });
}

// As the fetches above.
TEST(ServerBounds, SearchesForAConnectionThatHasGoneEndBeforeTheirDeadline) {
  ServerStory story;
  story.setup.log.cache_bytes = 0;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    for (int i = 0; i < 20; ++i) co_await peer.produce("orders", batch_with_a_false_header(500'000));
    co_await pass(here, seconds(5));
    SlowDisk slow_disk(story, seconds(1));
    Peer gone = co_await Peer::greeted(here, server);
    co_await gone.send(Peer::search_frame(1, "orders", 200));
    co_await pass(here, seconds(2));
    EXPECT_EQ(co_await peer.counter("requests_in_flight"), 2u);
    co_await gone.close();
    co_await pass(here, seconds(6));
    EXPECT_EQ(co_await peer.counter("requests_in_flight"), 1u);
  });
}

TEST(ServerBounds, PayloadsUnderWayNeverHoldMoreThanTheirBudget) {
  ServerStory story;
  story.setup.server.large_request_bytes_max = 1_MiB;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer other = co_await Peer::greeted(here, server);
    co_await other.create("orders");
    // Each begins a frame whose buffer takes 512 KiB of the budget, and stops there: two fit.
    const Bytes large = Peer::produce_frame(1, "orders", large_batch(300'000));
    const auto half = large.begin() + 150'000;
    std::vector<Peer> peers;
    for (int i = 0; i < 6; ++i) {
      peers.push_back(co_await Peer::greeted(here, server));
      co_await peers.back().send(Bytes(large.begin(), half));
    }
    co_await pass(here, milliseconds(100));
    EXPECT_LE(co_await other.counter("request_bytes_in_flight"), 1_MiB);
    EXPECT_GT(co_await other.counter("request_bytes_in_flight"), 900'000u);
    EXPECT_GE(co_await other.counter("reading_paused"), 3u);
    // Others still get through with what little is left, once those before them are done.
    for (Peer& peer : peers) co_await peer.send(Bytes(half, large.end()));
    for (Peer& peer : peers)
      EXPECT_NE((co_await peer.receive()).answer<wire::ProduceAnswer>(FrameType::produce), nullptr);
    EXPECT_EQ(co_await other.counter("request_bytes_in_flight"), 0u);
  });
}

TEST(ServerBounds, LargePayloadsAreReceivedInPlace) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    const Bytes batch = large_batch(200'000);
    Bytes stream;
    for (std::uint64_t i = 0; i < 50; ++i) {
      const Bytes frame = Peer::produce_frame(i, "orders", batch);
      stream.insert(stream.end(), frame.begin(), frame.end());
    }
    co_await peer.send(stream);
    for (int i = 0; i < 50; ++i)
      EXPECT_EQ((co_await peer.receive()).answer<wire::ProduceAnswer>(FrameType::produce)->base_offset(), i);
    EXPECT_EQ(co_await peer.counter("payloads_in_place"), 50u);
    EXPECT_EQ(co_await peer.counter("payload_bytes_in_place"), 50 * batch.size());
    EXPECT_EQ(co_await peer.counter("payload_bytes_copied"), 0u);
    EXPECT_EQ(co_await peer.counter("log_direct_bytes_copied"), 0u);
    EXPECT_GE(co_await peer.counter("log_direct_bytes"), 50 * batch.size());
  });
}

}  // namespace
}  // namespace millrace::test
