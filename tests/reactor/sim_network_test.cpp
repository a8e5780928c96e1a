// The fault model of sim_network.h, as programs meet it.
#include "engine/reactor/sim_network.h"

#include <cerrno>
#include <gmock/gmock.h>
#include <set>

#include "engine/reactor/sim_world.h"
#include "tests/reactor/contract_harness.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t k_port = 7420;

class SimNetworkTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  // A server that counts what it receives until the stream ends, and says how it ended.
  void serve() {
    server.start(1, [this](Reactor& reactor) -> Task<void> {
      const Socket listener = must(co_await reactor.listen({"0.0.0.0", k_port}));
      const Socket socket = must(co_await reactor.accept(listener));
      const Slice slice{must(reactor.buffers().acquire(4096)), 0, 4096};
      for (;;) {
        while (!reading) must(co_await reactor.sleep(1ms));
        const auto count = co_await reactor.receive(socket, slice);
        if (!count) ended = count.error().code;
        if (!count || *count == 0) break;
        for (const std::byte b : slice.bytes().first(*count))
          in_order &= b == static_cast<std::byte>(received++ % 251);
        ++pieces;
      }
      has_ended = true;
    });
  }
  // Sends `length` bytes of a pattern in one operation, then ends the stream.
  void send(std::uint32_t length, MonotonicTime deadline = k_never) {
    client.start(1, [this, length, deadline](Reactor& reactor) -> Task<void> {
      auto socket = co_await reactor.connect(server.address(k_port), deadline);
      if (!socket) {
        sent = socket.error().code;
        co_return;
      }
      const Slice slice{must(reactor.buffers().acquire(length)), 0, length};
      for (std::uint32_t i = 0; i < length; ++i) slice.buffer.data()[i] = static_cast<std::byte>(i % 251);
      const auto count = co_await reactor.send(*socket, slice, deadline);
      sent = count ? ErrorCode{} : count.error().code;
      if (count) EXPECT_EQ(*count, length);
      must(co_await reactor.shutdown(*socket));
      while (!may_end) must(co_await reactor.sleep(1ms));
    });
  }
  SimEnd until_ended() {
    return world.run_until([&] { return has_ended; }, 1min);
  }

  SimWorld world{GetParam()};
  SimNode& client = world.add_node("client");
  SimNode& server = world.add_node("server");
  bool reading = true, in_order = true, has_ended = false, may_end = true;
  std::uint64_t received = 0, pieces = 0;
  std::optional<ErrorCode> sent;
  ErrorCode ended{};
};

TEST_P(SimNetworkTest, StreamsKeepTheirBytesAndNotTheirPieces) {
  serve();
  send(1 << 20);
  ASSERT_EQ(until_ended(), SimEnd::reached) << world.waiting();
  EXPECT_EQ(received, 1U << 20);
  EXPECT_TRUE(in_order);
  EXPECT_GT(pieces, 256U);  // more than reads of 4 KiB would need
  EXPECT_EQ(ended, ErrorCode{});
  world.run_for(1s);
  EXPECT_EQ(world.network().connections(), 0U);
}

TEST_P(SimNetworkTest, ASlowReaderHoldsTheSenderBack) {
  reading = false;
  serve();
  send(1 << 20);
  world.run_for(5s);
  EXPECT_FALSE(sent);
  reading = true;
  ASSERT_EQ(until_ended(), SimEnd::reached) << world.waiting();
  EXPECT_EQ(sent, ErrorCode{});
  EXPECT_EQ(received, 1U << 20);
}

TEST_P(SimNetworkTest, ACutLinkHoldsBytesUntilItHeals) {
  serve();
  send(1 << 20);
  ASSERT_EQ(world.run_until([&] { return received > 100'000; }), SimEnd::reached);
  world.network().cut(client.number(), server.number());
  world.run_for(1s);
  const std::uint64_t before = received;
  world.run_for(5s);
  EXPECT_EQ(received, before);
  EXPECT_LT(received, 1U << 20);
  world.network().heal_all();
  ASSERT_EQ(until_ended(), SimEnd::reached) << world.waiting();
  EXPECT_EQ(received, 1U << 20);
  EXPECT_TRUE(in_order);
}

TEST_P(SimNetworkTest, WithTheWayBackCutTheWindowFills) {
  serve();
  send(1 << 20);
  ASSERT_EQ(world.run_until([&] { return received > 0; }), SimEnd::reached);
  world.network().cut(server.number(), client.number());
  world.run_for(5s);
  EXPECT_FALSE(sent);
  EXPECT_LT(received, 1U << 20);
  world.network().heal(server.number(), client.number());
  ASSERT_EQ(until_ended(), SimEnd::reached) << world.waiting();
  EXPECT_EQ(received, 1U << 20);
}

TEST_P(SimNetworkTest, AResetIsSeenByBothSides) {
  serve();
  send(1 << 20);
  ASSERT_EQ(world.run_until([&] { return received > 100'000; }), SimEnd::reached);
  world.network().reset(client.number(), server.number());
  ASSERT_EQ(until_ended(), SimEnd::reached) << world.waiting();
  ASSERT_EQ(world.run_until([&] { return !client.running(); }), SimEnd::reached);
  EXPECT_EQ(ended, ErrorCode::connection_lost);
  EXPECT_EQ(sent, ErrorCode::connection_lost);
  EXPECT_LT(received, 1U << 20);
}

TEST_P(SimNetworkTest, AKillOfTheSenderEndsTheStream) {
  serve();
  may_end = false;
  reading = false;
  send(1 << 20);
  world.run_for(100ms);
  reading = true;
  client.kill();
  ASSERT_EQ(until_ended(), SimEnd::reached) << world.waiting();
  EXPECT_LT(received, 1U << 20);
  EXPECT_TRUE(in_order);
}

TEST_P(SimNetworkTest, APowerCutIsNoticedByAReset) {
  serve();
  may_end = false;
  reading = false;
  send(1 << 20);
  world.run_for(100ms);
  client.power_cut();
  reading = true;
  ASSERT_EQ(until_ended(), SimEnd::reached) << world.waiting();
  EXPECT_EQ(ended, ErrorCode::connection_lost);
}

TEST_P(SimNetworkTest, NobodyListeningIsARefusalAndACutLinkATimeout) {
  send(1);
  ASSERT_EQ(world.run_until([&] { return sent.has_value(); }, 1s), SimEnd::reached);
  EXPECT_EQ(sent, ErrorCode::unavailable);
  ASSERT_EQ(world.run_until([&] { return !client.running(); }), SimEnd::reached);
  world.network().isolate(client.number());
  sent.reset();
  send(1, world.now() + 2s);
  ASSERT_EQ(world.run_until([&] { return sent.has_value(); }, 3s), SimEnd::reached);
  EXPECT_EQ(sent, ErrorCode::timed_out);
  ASSERT_EQ(world.run_until([&] { return !client.running(); }), SimEnd::reached);
  sent.reset();
  send(1);
  ASSERT_EQ(world.run_until([&] { return sent.has_value(); }, 1min), SimEnd::reached);
  EXPECT_EQ(sent, ErrorCode::unavailable);
}

// The network by itself: a stream from node 1 (process 1) to node 2 (process 2).
struct SimStream {
  explicit SimStream(std::uint64_t seed) : random(seed) {
    network.set_node_count(2);
    const SimListenerId listener = network.listen(2, 2, k_port);
    network.connect(1, 1, {"10.0.0.2", k_port}, [&](SimNetwork::Result<SimSocketId> result) {
      client = result.value();
      return true;
    });
    while (client.connection == 0) events.step();
    server = network.accept(listener).value();
  }
  void run_for(Duration duration) {
    const MonotonicTime end = events.now() + duration;
    while (events.next_time() <= end) events.step();
    events.advance(end);
  }
  void send(char byte) { EXPECT_EQ(network.send(client, std::as_bytes(std::span(&byte, 1))), 1U); }

  SimEvents events;
  SimRandom random;
  SimNetwork network{events, random};
  SimSocketId client, server;
};

class SimStreamTest : public testing::TestWithParam<std::uint64_t>, protected SimStream {
 protected:
  SimStreamTest() : SimStream(GetParam()) {}
};

TEST(SimNetwork, AKilledProcesssStreamsEndOrAreResetByTheSeed) {
  std::set<int> endings;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SimStream stream(seed);
    stream.network.process_ended(2, SimNetwork::Ending::killed);
    stream.run_for(1s);
    std::byte byte{};
    const auto count = stream.network.receive(stream.client, std::span(&byte, 1));
    endings.insert(count ? 0 : count.error());
  }
  EXPECT_THAT(endings, testing::ElementsAre(0, ECONNRESET));
}

TEST_P(SimStreamTest, BytesKeepTheirOrderThroughCutsAndHeals) {
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    const char byte = static_cast<char>('!' + i % 90);
    expected += byte;
    send(byte);
    run_for(random.between(Duration(0), Duration(20'000)));
    if (random.below(10) == 0) network.cut(1, 2);
    if (random.below(5) == 0) network.heal(1, 2);
  }
  network.heal_all();
  run_for(1s);
  std::string received;
  char bytes[64];
  while (const auto count = network.receive(server, std::as_writable_bytes(std::span(bytes)))) {
    received.append(bytes, *count);
  }
  EXPECT_EQ(received, expected);
}

TEST_P(SimStreamTest, AMachineWithoutPowerDoesNotAnswer) {
  network.reset_after_power_cut_max = 10'000h;
  network.process_ended(2, SimNetwork::Ending::power_cut);
  send('x');
  run_for(1s);
  send('y');
}

TEST_P(SimStreamTest, AProcessThatIsGoneAnswersWithAReset) {
  network.process_ended(2, SimNetwork::Ending::killed);
  run_for(1s);
  std::byte byte{};
  const auto first = network.send(client, std::span(&byte, 1));  // the reset may have come already
  EXPECT_TRUE(first || first.error() == ECONNRESET);
  run_for(1s);
  EXPECT_EQ(network.send(client, std::span(&byte, 1)).error(), ECONNRESET);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimStreamTest, testing::Range<std::uint64_t>(1, 21));
INSTANTIATE_TEST_SUITE_P(Seeds, SimNetworkTest, testing::Range<std::uint64_t>(1, 11));

}  // namespace
}  // namespace millrace
