// What each request does, asked over the wire.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/record_batch.h"
#include "net/client/client.h"
#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ServerRequests, HelloSaysWhoAnswersAndWhatItTakes) {
  ServerStory story;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::connect(here, server);
    co_await peer.send(Peer::hello_frame(77));
    const Frame frame = co_await peer.receive();
    EXPECT_EQ(frame.preamble.correlation, 77u);
    const auto* hello = frame.answer<wire::HelloAnswer>(FrameType::hello);
    if (hello == nullptr) co_return;
    EXPECT_EQ(hello->version(), 1);
    EXPECT_EQ(from_wire<ClusterId>(*hello->cluster()), story.started()->identity.cluster);
    EXPECT_EQ(hello->frame_size_max(), k_frame_size_max);
    EXPECT_EQ(hello->requests_in_flight_max(), k_requests_in_flight_max);
  });
}

TEST(ServerRequests, ATopicIsMadeListedDescribedAndDeleted) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    const Frame created = co_await peer.create("orders", 3);
    const auto* answer = created.answer<wire::CreateTopicAnswer>(FrameType::create_topic);
    if (answer == nullptr) co_return;
    const auto id = from_wire<TopicId>(*answer->topic_id());

    const Frame listed = co_await peer.ask(
        FrameType::list_topics, [](auto& builder) { builder.Finish(wire::CreateListTopics(builder)); });
    const auto* list = listed.answer<wire::ListTopicsAnswer>(FrameType::list_topics);
    EXPECT_EQ(list->topics()->size(), 1u);
    EXPECT_EQ(list->topics()->Get(0)->name()->string_view(), "orders");
    EXPECT_EQ(from_wire<TopicId>(*list->topics()->Get(0)->topic_id()), id);
    EXPECT_FALSE(list->more());

    const Frame described = co_await peer.describe("orders");
    const auto* description = described.answer<wire::DescribeTopicAnswer>(FrameType::describe_topic);
    EXPECT_EQ(description->topic()->partitions(), 3u);
    EXPECT_EQ(description->partitions()->size(), 3u);
    for (std::uint32_t p = 0; p < 3; ++p) {
      EXPECT_EQ(description->partitions()->Get(p)->partition(), p);
      EXPECT_EQ(description->partitions()->Get(p)->durable_end(), 0);
    }

    EXPECT_NE((co_await peer.remove("orders")).answer<wire::DeleteTopicAnswer>(FrameType::delete_topic),
              nullptr);
    EXPECT_EQ((co_await peer.describe("orders")).error(), ErrorCode::unknown_topic);
    EXPECT_EQ((co_await peer.produce("orders", batch_of("x"))).error(), ErrorCode::unknown_topic);
  });
}

Task<std::int64_t> producer_id(Peer& peer) {
  const Frame frame = co_await peer.ask(
      FrameType::init_producer, [](auto& builder) { builder.Finish(wire::CreateInitProducer(builder)); });
  const auto* answer = frame.answer<wire::InitProducerAnswer>(FrameType::init_producer);
  co_return answer == nullptr ? -1 : answer->producer_id();
}

Bytes stamped(Bytes batch, const ProducerStamp& producer) {
  stamp(batch, producer);
  return batch;
}

// On another connection, to another shard: as after a break.
TEST(ServerRequests, ABatchOfAProducerIsStoredOnceHoweverOftenItComes) {
  ServerStory story({.shards = 3});
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer first = co_await Peer::greeted(here, server);
    co_await first.create("orders", 2);
    const std::int64_t id = co_await producer_id(first);
    EXPECT_GE(id, 0);
    EXPECT_NE(co_await producer_id(first), id);
    for (std::int32_t i = 0; i < 2; ++i)
      co_await first.produce("orders", stamped(batch_of("one"), {id, 0, i}));
    Peer second = co_await Peer::greeted(here, server);
    const Frame again = co_await second.produce("orders", stamped(batch_of("one"), {id, 0, 0}));
    const auto* answer = again.answer<wire::ProduceAnswer>(FrameType::produce);
    if (answer == nullptr) co_return;
    EXPECT_EQ(answer->base_offset(), 0);
    EXPECT_EQ(answer->reached(), wire::Ack::durable);
    EXPECT_EQ(co_await second.counter("log_duplicates"), 1u);
    const Frame fetched = co_await second.fetch("orders", 0, {});
    EXPECT_THAT(values_of(fetched.payload), ElementsAre("one", "one"));
    EXPECT_EQ((co_await second.produce("orders", stamped(batch_of("gap"), {id, 0, 3}))).error(),
              ErrorCode::out_of_order_sequence);
    EXPECT_EQ(
        (co_await second.produce("orders", stamped(batch_of("other partition"), {id, 0, 2}), 1)).error(),
        ErrorCode::unknown_producer);
    co_await second.produce("orders", stamped(batch_of("next epoch"), {id, 1, 0}));
    EXPECT_EQ((co_await first.produce("orders", stamped(batch_of("late"), {id, 0, 2}))).error(),
              ErrorCode::producer_fenced);
  });
}

TEST(ServerRequests, AnAcknowledgedBatchIsFetchedAsItWasSent) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    for (int i = 0; i < 3; ++i) {
      const Frame frame = co_await peer.produce("orders", batch_of(fmt::format("value {}", i)));
      const auto* produced = frame.answer<wire::ProduceAnswer>(FrameType::produce);
      if (produced == nullptr) co_return;
      EXPECT_EQ(produced->base_offset(), i);
      EXPECT_EQ(produced->reached(), wire::Ack::durable);
      EXPECT_EQ(produced->term(), 1);
    }
    const Frame frame = co_await peer.fetch("orders", 0, {});
    const auto* fetched = frame.answer<wire::FetchAnswer>(FrameType::fetch);
    if (fetched == nullptr) co_return;
    EXPECT_EQ(fetched->next_offset(), 3);
    EXPECT_EQ(fetched->durable_end(), 3);
    EXPECT_EQ(fetched->log_start(), 0);
    EXPECT_THAT(values_of(frame.payload), ElementsAre("value 0", "value 1", "value 2"));
    EXPECT_THAT(values_of((co_await peer.fetch("orders", 2, {})).payload), ElementsAre("value 2"));
  });
}

TEST(ServerRequests, AnAcknowledgementNamesTheLevelThatWasReached) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    const Frame frame = co_await peer.produce("orders", batch_of("x"), 0, wire::Ack::leader);
    EXPECT_EQ(frame.answer<wire::ProduceAnswer>(FrameType::produce)->reached(), wire::Ack::leader);
  });
}

TEST(ServerRequests, AProduceThatWantsNoAnswerGetsNoneAndIsStored) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    co_await peer.send(Peer::produce_frame(1, "orders", batch_of("silent"), 0, wire::Ack::none));
    co_await peer.send(Peer::produce_frame(2, "nowhere", batch_of("lost"), 0, wire::Ack::none));
    // The next frame that comes is this one's answer: ask() checks the correlation.
    const Frame frame = co_await peer.produce("orders", batch_of("loud"));
    EXPECT_EQ(frame.answer<wire::ProduceAnswer>(FrameType::produce)->base_offset(), 1);
    EXPECT_THAT(values_of((co_await peer.fetch("orders", 0, {})).payload), ElementsAre("silent", "loud"));
    EXPECT_EQ(co_await peer.counter("produce_unanswered_failures"), 1u);
  });
}

// As above, where no handler sees it: too large to be received, and one more than are taken at once of a
// connection when there are as many as all may have.
TEST(ServerRequests, AProduceThatWantsNoAnswerGetsNoneWhenItIsRefusedUnread) {
  ServerStory story;
  story.setup.server.requests_max = 1;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    const Bytes large(k_batch_size_max + 1);
    co_await peer.send(Peer::produce_frame(1, "orders", large, 0, wire::Ack::none));
    EXPECT_EQ(co_await peer.counter("produce_unanswered_failures"), 1u);
    Peer waiting = co_await Peer::greeted(here, server);
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateFetch(builder, wire::CreatePartition(builder, builder.CreateString("orders")),
                                     0, 1, 1000, 5'000));
    for (std::uint64_t i = 0; i < k_requests_of_each; ++i)
      co_await waiting.send(Peer::frame(FrameType::fetch, i, builder));
    static_cast<void>(co_await here.sleep(std::chrono::seconds(1)));
    co_await waiting.send(Peer::produce_frame(9, "orders", batch_of("lost"), 0, wire::Ack::none));
    static_cast<void>(co_await here.sleep(std::chrono::seconds(5)));
    EXPECT_EQ(co_await peer.counter("produce_unanswered_failures"), 2u);
  });
}

TEST(ServerRequests, AFetchWaitsForRecordsThatComeInTime) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer reader = co_await Peer::greeted(here, server);
    Peer writer = co_await Peer::greeted(here, server);
    co_await writer.create("orders");
    here.spawn([](Reactor& reactor, Peer& peer) -> Task<void> {
      static_cast<void>(co_await reactor.sleep(std::chrono::seconds(2)));
      co_await peer.produce("orders", batch_of("late"));
    }(here, writer));
    const MonotonicTime before = here.now();
    const Frame frame = co_await reader.fetch("orders", 0, {.max_wait_ms = 10'000});
    EXPECT_THAT(values_of(frame.payload), ElementsAre("late"));
    EXPECT_GE(here.now() - before, std::chrono::seconds(2));
    EXPECT_LT(here.now() - before, std::chrono::seconds(3));
  });
}

TEST(ServerRequests, AFetchOfNothingEndsWhenItsTimeIsOver) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    const MonotonicTime before = here.now();
    const Frame frame = co_await peer.fetch("orders", 0, {.max_wait_ms = 1'500});
    EXPECT_EQ(frame.answer<wire::FetchAnswer>(FrameType::fetch)->next_offset(), 0);
    EXPECT_TRUE(frame.payload.empty());
    EXPECT_GE(here.now() - before, std::chrono::milliseconds(1'500));
    EXPECT_LT(here.now() - before, std::chrono::milliseconds(1'600));
  });
}

TEST(ServerRequests, AFetchStopsAtItsSizeButGivesAtLeastOneEntry) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    for (int i = 0; i < 4; ++i) co_await peer.produce("orders", large_batch(10'000));
    EXPECT_EQ(values_of((co_await peer.fetch("orders", 0, {.max_bytes = 1})).payload).size(), 1u);
    EXPECT_EQ(values_of((co_await peer.fetch("orders", 0, {.max_bytes = 25'000})).payload).size(), 2u);
    EXPECT_EQ(values_of((co_await peer.fetch("orders", 0, {.max_bytes = 0})).payload).size(), 4u);
  });
}

TEST(ServerRequests, OffsetsAreFoundByPlaceAndByTime) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    for (const std::int64_t timestamp : {100, 200, 300})
      co_await peer.produce("orders", batch_of("x", timestamp));
    const auto find = [&peer](wire::OffsetSpec spec, std::int64_t timestamp) -> Task<std::int64_t> {
      const Frame frame = co_await peer.list_offsets("orders", spec, timestamp);
      const auto* answer = frame.answer<wire::ListOffsetsAnswer>(FrameType::list_offsets);
      co_return answer == nullptr ? -99 : answer->offset();
    };
    EXPECT_EQ(co_await find(wire::OffsetSpec::earliest, 0), 0);
    EXPECT_EQ(co_await find(wire::OffsetSpec::latest, 0), 3);
    EXPECT_EQ(co_await find(wire::OffsetSpec::timestamp, 0), 0);
    EXPECT_EQ(co_await find(wire::OffsetSpec::timestamp, 150), 1);
    EXPECT_EQ(co_await find(wire::OffsetSpec::timestamp, 300), 2);
    EXPECT_EQ(co_await find(wire::OffsetSpec::timestamp, 301), 3);
    EXPECT_EQ((co_await peer.list_offsets("orders", static_cast<wire::OffsetSpec>(9))).error(),
              ErrorCode::invalid_argument);
  });
}

TEST(ServerRequests, ATrimmedLogStartsLaterAndSaysWhereWhenAskedForLess) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    for (int i = 0; i < 5; ++i) co_await peer.produce("orders", batch_of(fmt::format("{}", i)));
    const Frame trimmed = co_await peer.trim("orders", 3);
    EXPECT_EQ(trimmed.answer<wire::TrimAnswer>(FrameType::trim)->log_start(), 3);
    const Frame early = co_await peer.fetch("orders", 2, {});
    EXPECT_EQ(early.error(), ErrorCode::offset_out_of_range);
    EXPECT_EQ(early.error_table()->log_start(), 3);
    EXPECT_EQ(early.error_table()->log_end(), 5);
    EXPECT_THAT(values_of((co_await peer.fetch("orders", 3, {})).payload), ElementsAre("3", "4"));
    EXPECT_EQ((co_await peer.fetch("orders", 6, {})).error(), ErrorCode::offset_out_of_range);
    EXPECT_EQ((co_await peer.trim("orders", 6)).error(), ErrorCode::offset_out_of_range);
  });
}

TEST(ServerRequests, ListsOfManyTopicsComeInPagesInTheOrderOfNames) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    // Names as long as may be: a page holds some 700 of them.
    constexpr int k_topics = 1000;
    for (int i = 0; i < k_topics; ++i) co_await peer.create(fmt::format("{:0249}", i));
    std::string after;
    int seen = 0;
    int pages = 0;
    for (bool more = true; more && pages < 10; ++pages) {
      const Frame frame = co_await peer.ask(FrameType::list_topics, [after](auto& builder) {
        builder.Finish(wire::CreateListTopics(builder, builder.CreateString(after)));
      });
      const auto* list = frame.answer<wire::ListTopicsAnswer>(FrameType::list_topics);
      if (list == nullptr) co_return;
      for (const auto* topic : *list->topics()) {
        EXPECT_EQ(topic->name()->str(), fmt::format("{:0249}", seen++));
        after = topic->name()->str();
      }
      more = list->more();
    }
    EXPECT_EQ(seen, k_topics);
    EXPECT_EQ(pages, 2);
    Client client(here, {.server = server});
    const auto listed = co_await client.list_topics();
    EXPECT_TRUE(listed) << listed.error().message;
    if (listed) EXPECT_EQ(listed->size(), std::size_t{k_topics}) << "the client turns the pages";
  });
}

TEST(ServerRequests, ARequestForWhatIsNotThereIsNoFailureOfTheServer) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    EXPECT_EQ((co_await peer.describe("orders")).error(), ErrorCode::unknown_topic);
    EXPECT_EQ((co_await peer.produce("orders", batch_of("x"))).error(), ErrorCode::unknown_topic);
    EXPECT_EQ(co_await peer.counter("requests_wrong"), 2u);
    EXPECT_EQ(co_await peer.counter("requests_failed"), 0u);
  });
}

TEST(ServerRequests, StatusNamesCountersAndLatencies) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders");
    co_await peer.produce("orders", batch_of("x"));
    EXPECT_EQ(co_await peer.counter("produce_requests"), 1u);
    EXPECT_EQ(co_await peer.counter("produce_records"), 1u);
    EXPECT_EQ(co_await peer.counter("topics"), 1u);
    EXPECT_EQ(co_await peer.counter("groups"), 2u);
    EXPECT_EQ(co_await peer.counter("connections"), 1u);
    EXPECT_EQ(co_await peer.counter("requests_in_flight"), 1u);
    const Frame frame = co_await peer.ask(FrameType::status,
                                          [](auto& builder) { builder.Finish(wire::CreateStatus(builder)); });
    const auto* status = frame.answer<wire::StatusAnswer>(FrameType::status);
    EXPECT_EQ(status->data()->string_view(), "data");
    EXPECT_EQ(status->shards(), 1u);
    std::vector<std::string> names;
    for (const auto* latency : *status->latencies()) {
      names.push_back(latency->name()->str());
      if (names.back() == "produce") EXPECT_EQ(latency->count(), 1u);
    }
    EXPECT_THAT(names, ElementsAre("produce", "fetch", "queue", "write", "append", "reply"));
  });
}

}  // namespace
}  // namespace millrace::test
