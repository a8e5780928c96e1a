// How a node ends and begins again: SIGTERM under load, a failed sync, a refused start.
#include <cerrno>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <utility>

#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Producers that keep `k_depth` batches under way until the server no longer takes them.
struct Load {
  std::map<std::int64_t, std::string> acknowledged;  // offset -> value
  std::uint64_t refused = 0;
  std::uint64_t other_errors = 0;
  bool done = false;

  static constexpr int k_depth = 20;

  Task<void> run(Reactor& here, Address server) {
    Peer peer = co_await Peer::greeted(here, server);
    std::map<std::uint64_t, std::string> sent;
    std::uint64_t next = 0;
    bool open = true;
    const auto produce = [&]() -> Task<void> {
      const std::string value =
          fmt::format("value {} {}", next, std::string(next % 5 == 0 ? 70'000 : 10, 'x'));
      sent[next] = value;
      open = open && co_await peer.send(Peer::produce_frame(next++, "orders", batch_of(value)));
    };
    for (int i = 0; i < k_depth; ++i) co_await produce();
    for (;;) {
      const Frame frame = co_await peer.receive();
      if (frame.ended()) break;
      if (frame.preamble.type == answer_to(FrameType::produce)) {
        acknowledged[frame.answer<wire::ProduceAnswer>(FrameType::produce)->base_offset()] =
            sent[frame.preamble.correlation];
      } else {
        ++(frame.error() == ErrorCode::shutting_down ? refused : other_errors);
      }
      if (open) co_await produce();
    }
    done = true;
  }
};

Task<void> expect_stored(Reactor& here, Address server,
                         const std::map<std::int64_t, std::string>& acknowledged) {
  Peer peer = co_await Peer::greeted(here, server);
  std::map<std::int64_t, std::string> stored;
  std::int64_t at = 0;
  for (;;) {
    const Frame frame = co_await peer.fetch("orders", at, {});
    const auto* answer = frame.answer<wire::FetchAnswer>(FrameType::fetch);
    if (answer == nullptr || frame.payload.empty()) break;
    for (std::string& value : values_of(frame.payload)) stored[at++] = std::move(value);
    EXPECT_EQ(at, answer->next_offset());
  }
  for (const auto& [offset, value] : acknowledged) EXPECT_EQ(stored[offset], value) << "offset " << offset;
}

constexpr std::uint64_t k_small_send_queue = 256_KiB;

// Some that ask for more than their connections carry and take nothing: no more is read from them.
Task<std::vector<Peer>> peers_that_stand_still(Reactor& here, Address server) {
  Peer writer = co_await Peer::greeted(here, server);
  co_await writer.create("orders");
  co_await writer.produce("orders", large_batch(1'000'000));
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateFetch(builder, wire::CreatePartition(builder, builder.CreateString("orders")), 0,
                                   1, 1u << 20, 0));
  std::vector<Peer> peers;
  for (int i = 0; i < 4; ++i) {
    peers.push_back(co_await Peer::greeted(here, server));
    co_await peers.back().send(Peer::frame(FrameType::fetch, 1, builder));
  }
  co_await pass(here, std::chrono::seconds(1));
  for (Peer& peer : peers) co_await peer.send(Peer::frame(FrameType::fetch, 2, builder));
  co_await pass(here, std::chrono::seconds(1));
  co_return peers;
}

class ServerStop : public testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Shards, ServerStop, testing::Values(1u, 3u));

TEST_P(ServerStop, UnderLoadWhatWasTakenIsAcknowledgedTheRestIsRefusedAndNothingIsCut) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    ServerStory story({.shards = GetParam(), .seed = seed});
    story.start();
    ASSERT_TRUE(story.started()) << story.why();
    ASSERT_TRUE(story.run_script([](Reactor& here, Address server) -> Task<void> {
      Peer peer = co_await Peer::greeted(here, server);
      co_await peer.create("orders");
    }));
    Load load;
    // One that waits for records, and one that is idle, do not hold the stop up.
    story.client().start(1, [&](Reactor& reactor) -> Task<void> {
      Peer idle = co_await Peer::greeted(reactor, story.server().address(7420));
      Peer waiting = co_await Peer::greeted(reactor, story.server().address(7420));
      flatbuffers::FlatBufferBuilder builder;
      builder.Finish(wire::CreateFetch(builder,
                                       wire::CreatePartition(builder, builder.CreateString("orders")), 0,
                                       k_fetch_size_max, k_fetch_size_max, 30'000));
      co_await waiting.send(Peer::frame(FrameType::fetch, 1, builder));
      co_await load.run(reactor, story.server().address(7420));
      EXPECT_TRUE((co_await waiting.receive()).answer<wire::FetchAnswer>(FrameType::fetch) != nullptr);
      EXPECT_TRUE((co_await idle.receive()).ended());
    });
    ASSERT_EQ(story.world().run_until([&] { return load.acknowledged.size() > 200; }), SimEnd::reached);
    const MonotonicTime before = story.world().now();
    story.expect_clean_stop();
    EXPECT_LT(story.world().now() - before, std::chrono::seconds(2));
    ASSERT_EQ(story.world().run_until([&] { return !story.client().running(); }), SimEnd::reached);
    EXPECT_TRUE(load.done);
    EXPECT_EQ(load.other_errors, 0u);

    story.start();
    ASSERT_TRUE(story.started()) << story.why();
    EXPECT_TRUE(story.started()->clean);
    EXPECT_TRUE(story.started()->notes.empty()) << story.started()->notes.front();
    ASSERT_TRUE(story.run_script([&](Reactor& here, Address server) {
      return expect_stored(here, std::move(server), load.acknowledged);
    }));
    story.expect_clean_stop();
  }
}

struct Heard {
  int answers = 0;
  int refusals = 0;  // because it stops
  int others = 0;
  Task<void> all_from(Peer& peer) {
    for (Frame frame = co_await peer.receive(); !frame.ended(); frame = co_await peer.receive()) {
      if (frame.preamble.type != number(FrameType::error)) {
        ++answers;
      } else {
        ++(frame.error() == ErrorCode::shutting_down ? refusals : others);
      }
    }
  }
};

// Each was made, at the disk's pace, however long all of them took.
TEST_P(ServerStop, ChangesThatWaitForTheirTurnAreRefused) {
  ServerStory story({.shards = GetParam()});
  story.start();
  ASSERT_TRUE(story.started()) << story.why();
  SlowDisk slow_disk(story, milliseconds(100));
  Heard heard;
  story.client().start(1, [&](Reactor& reactor) -> Task<void> {
    Peer peer = co_await Peer::greeted(reactor, story.server().address(7420));
    for (std::uint64_t i = 0; i < 40; ++i)
      co_await peer.send(Peer::create_frame(i, fmt::format("topic-{}", i)));
    co_await heard.all_from(peer);
  });
  ASSERT_EQ(story.world().run_until([&] { return heard.answers == 2; }), SimEnd::reached);
  const MonotonicTime asked = story.world().now();
  story.server().terminate();
  ASSERT_EQ(story.world().run_until([&] { return !story.client().running(); }), SimEnd::reached);
  EXPECT_LT(story.world().now() - asked, milliseconds(k_drain_deadline_ms));
  EXPECT_EQ(heard.answers, 3);
  EXPECT_EQ(heard.refusals, 37);
  EXPECT_EQ(heard.others, 0);
  slow_disk.end();
  story.expect_clean_stop();
}

// Each read once more, one after the other.
TEST_P(ServerStop, SearchesThatWaitForTheirTurnAreRefused) {
  ServerStory story({.shards = GetParam()});
  story.setup.log.cache_bytes = 0;
  story.start();
  ASSERT_TRUE(story.started()) << story.why();
  ASSERT_TRUE(story.run_script([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    for (int i = 0; i < 12; ++i) co_await peer.produce("orders", batch_with_a_false_header(500'000));
    co_await pass(here, seconds(5));
  }));
  SlowDisk slow_disk(story, milliseconds(200));
  Heard heard;
  bool all_asked = false;
  story.client().start(1, [&](Reactor& reactor) -> Task<void> {
    Peer peer = co_await Peer::greeted(reactor, story.server().address(7420));
    for (std::uint64_t i = 0; i < 40; ++i) co_await peer.send(Peer::search_frame(i, "orders", 200));
    co_await pass(reactor, seconds(1));
    all_asked = true;
    co_await heard.all_from(peer);
  });
  ASSERT_EQ(story.world().run_until([&] { return all_asked; }), SimEnd::reached);
  const MonotonicTime asked = story.world().now();
  story.server().terminate();
  ASSERT_EQ(story.world().run_until([&] { return !story.client().running(); }), SimEnd::reached);
  EXPECT_LT(story.world().now() - asked, seconds(1));
  EXPECT_EQ(heard.refusals, 40);
  EXPECT_EQ(heard.answers + heard.others, 0);
  slow_disk.end();
  story.expect_clean_stop();
}

TEST_P(ServerStop, AfterAFailedSyncNothingMoreIsAcknowledgedAndTheNodeEndsWithIt) {
  ServerStory story({.shards = GetParam()});
  story.start();
  ASSERT_TRUE(story.started()) << story.why();
  ASSERT_TRUE(story.run_script([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
  }));
  Load load;
  story.client().start(1, [&](Reactor& reactor) { return load.run(reactor, story.server().address(7420)); });
  ASSERT_EQ(story.world().run_until([&] { return load.acknowledged.size() > 50; }), SimEnd::reached);
  SimFaults& faults = story.server().disk().faults();
  faults.fail(
      {.matches =
           [](const SimAccess& access) { return access.verb == Verb::write && access.sync == Sync::data; },
       .error = EIO,
       .times = SimFaults::k_forever});
  ASSERT_EQ(story.world().run_until([&] { return !story.server().running(); }), SimEnd::reached)
      << story.world().waiting();
  ASSERT_TRUE(story.result());
  ASSERT_FALSE(*story.result());
  EXPECT_EQ(story.result()->error().code, ErrorCode::sync_failed);
  ASSERT_EQ(story.world().run_until([&] { return !story.client().running(); }), SimEnd::reached);
  faults.clear();

  story.start();
  ASSERT_TRUE(story.started()) << story.why();
  ASSERT_TRUE(story.run_script([&](Reactor& here, Address server) {
    return expect_stored(here, std::move(server), load.acknowledged);
  }));
  story.expect_clean_stop();
}

// A send that its peer does not take, on a connection that was read no more, outlived the shard whose memory
// it counted.
TEST_P(ServerStop, ANodeThatFailsEndsAfterTheSendsThatStandStill) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    ServerStory story({.shards = GetParam(), .seed = seed});
    story.setup.server.send_queue_max = k_small_send_queue;
    story.start();
    ASSERT_TRUE(story.started()) << story.why();
    story.client().start(1, [&](Reactor& here) -> Task<void> {
      const std::vector<Peer> still = co_await peers_that_stand_still(here, story.server().address(7420));
      story.server().disk().faults().fail(
          {.matches = [](const SimAccess& access) { return access.verb == Verb::write; },
           .error = EIO,
           .times = SimFaults::k_forever});
      Peer writer = co_await Peer::greeted(here, story.server().address(7420));
      co_await writer.send(Peer::produce_frame(1, "orders", batch_of("lost")));
      co_await writer.close();
      co_await pass(here, std::chrono::seconds(10));
    });
    ASSERT_EQ(story.world().run_until([&] { return !story.server().running(); }), SimEnd::reached)
        << story.world().waiting();
    ASSERT_TRUE(story.result() && !*story.result());
    EXPECT_EQ(story.result()->error().code, ErrorCode::sync_failed);
  }
}

TEST_P(ServerStop, AStopEndsAfterTheSendsThatStandStill) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    ServerStory story({.shards = GetParam(), .seed = seed});
    story.setup.server.send_queue_max = k_small_send_queue;
    story.start();
    ASSERT_TRUE(story.started()) << story.why();
    bool stand_still = false;
    story.client().start(1, [&](Reactor& here) -> Task<void> {
      const std::vector<Peer> still = co_await peers_that_stand_still(here, story.server().address(7420));
      stand_still = true;
      co_await pass(here, std::chrono::seconds(10));
    });
    ASSERT_EQ(story.world().run_until([&] { return stand_still; }), SimEnd::reached);
    const MonotonicTime before = story.world().now();
    story.expect_clean_stop();
    EXPECT_LT(story.world().now() - before, std::chrono::milliseconds(k_drain_deadline_ms + 1000));
  }
}

TEST_P(ServerStop, ANodeStartsAgainWithAnotherNumberOfShards) {
  ServerStory story({.shards = GetParam()});
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders", 5);
    for (std::uint32_t p = 0; p < 5; ++p) co_await peer.produce("orders", batch_of(fmt::format("{}", p)), p);
  });
  for (const std::uint32_t shards : {4u, 1u, 2u}) {
    story.options.shards = shards;
    story.run([](Reactor& here, Address server) -> Task<void> {
      Peer peer = co_await Peer::greeted(here, server);
      for (std::uint32_t p = 0; p < 5; ++p) {
        EXPECT_EQ(values_of((co_await peer.fetch("orders", 0, {.partition = p})).payload),
                  std::vector{fmt::format("{}", p)});
      }
    });
  }
}

TEST_P(ServerStop, AFolderThatIsRefusedEndsTheNodeOnEveryShard) {
  ServerStory story({.shards = GetParam()});
  story.run([](Reactor&, Address) -> Task<void> { co_return; });
  story.setup.storage.cluster = ClusterId{};
  story.start();
  EXPECT_FALSE(story.started());
  ASSERT_TRUE(story.result());
  ASSERT_FALSE(*story.result());
  EXPECT_EQ(story.result()->error().code, ErrorCode::wrong_folder);
}

}  // namespace
}  // namespace millrace::test
