// Topics survive everything: a restart, and a power cut between any two steps of their making or deletion.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "engine/log/journal_room.h"
#include "net/client/client.h"
#include "net/topic_record.h"
#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

Task<std::vector<std::string>> names(Peer& peer) {
  const Frame frame = co_await peer.ask(
      FrameType::list_topics, [](auto& builder) { builder.Finish(wire::CreateListTopics(builder)); });
  std::vector<std::string> result;
  for (const auto* topic : *frame.answer<wire::ListTopicsAnswer>(FrameType::list_topics)->topics()) {
    result.push_back(topic->name()->str());
  }
  co_return result;
}

TEST(ServerCatalog, TopicsAndTheirSettingsAreThereAfterARestart) {
  ServerStory story({.shards = 2});
  TopicId id;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("gone");
    const Frame frame = co_await peer.ask(FrameType::create_topic, [](auto& builder) {
      const auto settings = wire::CreateTopicSettings(builder, 1_MiB, 2'000, 3_MiB, 4'000);
      builder.Finish(wire::CreateCreateTopic(builder, builder.CreateString("kept"), 3, settings));
    });
    id = from_wire<TopicId>(*frame.answer<wire::CreateTopicAnswer>(FrameType::create_topic)->topic_id());
    co_await peer.remove("gone");
  });
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    EXPECT_THAT(co_await names(peer), ElementsAre("kept"));
    const Frame frame = co_await peer.describe("kept");
    const auto* topic = frame.answer<wire::DescribeTopicAnswer>(FrameType::describe_topic)->topic();
    EXPECT_EQ(from_wire<TopicId>(*topic->topic_id()), id);
    EXPECT_EQ(topic->partitions(), 3u);
    EXPECT_EQ(topic->settings()->segment_bytes(), 1_MiB);
    EXPECT_EQ(topic->settings()->segment_ms(), 2'000u);
    EXPECT_EQ(topic->settings()->retention_bytes(), 3_MiB);
    EXPECT_EQ(topic->settings()->retention_ms(), 4'000u);
  });
}

TEST(ServerCatalog, ChangedSettingsAreInForceAndThereAfterARestart) {
  ServerStory story({.shards = 2});
  const auto full_of = [](Peer& peer, std::uint32_t partition) -> Task<void> {
    for (int i = 0; i < 8; ++i) co_await peer.produce("orders", large_batch(64_KiB), partition);
  };
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Client client(here, {.server = server});
    Peer peer = co_await Peer::greeted(here, server);
    const auto id = co_await client.create_topic(
        {.name = "orders", .partitions = 2, .segment_bytes = 128_KiB, .retention_age = 1h});
    for (std::uint32_t p = 0; p < 2; ++p) co_await full_of(peer, p);
    const auto altered =
        co_await client.alter_topic("orders", {.retention_bytes = 128_KiB, .retention_age = 0s});
    EXPECT_TRUE(id && altered) << altered.error().message;
    if (!id || !altered) co_return;
    EXPECT_EQ(altered->id, *id);
    EXPECT_EQ(altered->segment_bytes, 128_KiB) << "not named: as it was";
    EXPECT_EQ(altered->retention_bytes, 128_KiB);
    EXPECT_EQ(altered->retention_age, 0s);
    co_await here.sleep(1min);
    for (std::uint32_t p = 0; p < 2; ++p) {
      const auto start = co_await client.list_offset({"orders", p}, OffsetQuery::earliest);
      EXPECT_GT(start->offset, Offset{0}) << "partition " << p << " still holds everything";
    }
    const auto refused = co_await client.alter_topic("orders", {.segment_bytes = 1});
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ((co_await client.alter_topic("orderz", {})).error().code, ErrorCode::unknown_topic);
  });
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Client client(here, {.server = server});
    const auto topics = co_await client.list_topics();
    EXPECT_EQ(topics->size(), 1u);
    EXPECT_EQ(topics->front().segment_bytes, 128_KiB);
    EXPECT_EQ(topics->front().retention_bytes, 128_KiB);
    EXPECT_EQ(topics->front().retention_age, 0s);
  });
}

TEST(ServerCatalog, GroupNumbersAreNeverUsedAgain) {
  ServerStory story;
  std::set<std::uint64_t> groups;
  for (int start = 0; start < 3; ++start) {
    story.run([&](Reactor& here, Address server) -> Task<void> {
      Peer peer = co_await Peer::greeted(here, server);
      for (int i = 0; i < 2; ++i) {
        co_await peer.create("orders", 2);
        const Frame frame = co_await peer.describe("orders");
        for (const auto* state :
             *frame.answer<wire::DescribeTopicAnswer>(FrameType::describe_topic)->partitions()) {
          EXPECT_TRUE(groups.insert(state->group()).second) << state->group();
        }
        co_await peer.remove("orders");
      }
    });
  }
  EXPECT_EQ(groups.size(), 12u);
}

// The power fails after each event in turn while topics are made and deleted. At the next start every topic
// whose creation was answered is there and takes records, every one whose deletion was answered is gone, and
// the one between is whole or not there at all.
TEST(ServerCatalog, APowerCutAnywhereLeavesTopicsWholeOrAway) {
  int cuts = 0;
  for (std::uint64_t after = 0;; after += 7) {
    ServerStory story({.shards = 2, .seed = after + 1});
    story.start();
    ASSERT_TRUE(story.started()) << story.why();
    std::set<std::string> made;
    std::set<std::string> deleted;
    story.client().start(1, [&](Reactor& here) -> Task<void> {
      Peer peer = co_await Peer::greeted(here, story.server().address(7420));
      for (int i = 0; i < 4; ++i) {
        const std::string name = fmt::format("topic-{}", i);
        if ((co_await peer.create(name, 3)).ended()) co_return;
        made.insert(name);
        if (i % 2 == 0) continue;
        const std::string victim = fmt::format("topic-{}", i - 1);
        made.erase(victim);
        if ((co_await peer.remove(victim)).ended()) co_return;
        deleted.insert(victim);
      }
    });
    for (std::uint64_t i = 0; i < after && story.client().running(); ++i) story.world().step();
    const bool finished = !story.client().running();
    if (story.client().running()) story.client().kill();
    story.server().power_cut();
    ++cuts;
    story.run([&](Reactor& here, Address server) -> Task<void> {
      Peer peer = co_await Peer::greeted(here, server);
      const auto there = co_await names(peer);
      for (const std::string& name : made)
        EXPECT_THAT(there, ::testing::Contains(name)) << "cut after " << after;
      for (const std::string& name : deleted)
        EXPECT_THAT(there, ::testing::Not(::testing::Contains(name))) << "cut after " << after;
      for (const std::string& name : there) {
        for (std::uint32_t p = 0; p < 3; ++p) {
          const Frame frame = co_await peer.produce(name, batch_of("x"), p);
          EXPECT_NE(frame.answer<wire::ProduceAnswer>(FrameType::produce), nullptr) << "cut after " << after;
        }
      }
      EXPECT_EQ(co_await peer.counter("groups"), 1 + 3 * there.size()) << "cut after " << after;
    });
    if (HasFailure() || finished) break;
  }
  EXPECT_GT(cuts, 30);
}

// It stood behind the other one however long that took.
TEST(ServerCatalog, AChangeBehindAnotherOneHearsAtItsOwnDeadline) {
  ServerStory story;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer patient = co_await Peer::greeted(here, server);
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("kept");
    SlowDisk slow_disk(story, 5s);
    co_await patient.send(Peer::create_frame(1, "slow"));
    co_await pass(here, 1s);
    for (const Bytes& late : {Peer::create_frame(2, "late", 100), Peer::delete_frame(3, "kept", 100)}) {
      const MonotonicTime asked = here.now();
      co_await peer.send(late);
      EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::overloaded);
      EXPECT_GE(here.now() - asked, 100ms);
      EXPECT_LT(here.now() - asked, 200ms);
    }
    slow_disk.end();
    const Frame made = co_await patient.receive();
    EXPECT_NE(made.answer<wire::CreateTopicAnswer>(FrameType::create_topic), nullptr);
    EXPECT_THAT(co_await names(peer), ElementsAre("kept", "slow"));
  });
}

// Its record was durable before a shard said that it had no room, and a start after a crash right then could
// not make it, and gave up.
TEST(ServerCatalog, APowerCutWhileATopicIsMadeThatAShardHasNoRoomForLeavesAFolderThatStarts) {
  ServerStory story;
  const std::size_t most = groups_max(story.setup.storage.journal_file_size);
  std::size_t groups = 1;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    for (int i = 0; groups + 3 < most; ++i) {
      const auto partitions = static_cast<std::uint32_t>(std::min<std::size_t>(most - 3 - groups, 1024));
      const Frame frame = co_await peer.create(fmt::format("topic-{}", i), partitions);
      EXPECT_NE(frame.answer<wire::CreateTopicAnswer>(FrameType::create_topic), nullptr);
      groups += partitions;
    }
  });
  story.start();
  ASSERT_TRUE(story.started()) << story.why();
  int begun = 0;
  story.server().disk().faults().fail({.matches = [&](const SimAccess& access) {
    if (access.verb == Verb::create_folder) ++begun;
    return false;
  }});
  Frame answer;
  story.client().start(1, [&](Reactor& here) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, story.server().address(7420));
    answer = co_await peer.create("many", 5);
  });
  const auto cut = [&] { return begun == 3 || !story.client().running(); };
  ASSERT_EQ(story.world().run_until(cut), SimEnd::reached);
  EXPECT_EQ(begun, 0);
  if (story.client().running()) story.client().kill();
  story.server().power_cut();
  story.server().disk().faults().clear();
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    EXPECT_EQ(co_await peer.counter("groups"), groups);
    const Frame fits = co_await peer.create("fits", 3);
    EXPECT_NE(fits.answer<wire::CreateTopicAnswer>(FrameType::create_topic), nullptr);
  });
  EXPECT_EQ(answer.error(), ErrorCode::invalid_argument);
}

std::string folder_of_group(std::uint64_t group) {
  return fmt::format("groups/{:016x}", group);
}

// All that came behind the first that failed stayed until the next start.
TEST(ServerCatalog, ADeleteGoesOnBehindAFileThatCannotBeRemoved) {
  ServerStory story({.shards = 2});
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders", 6);
    story.server().disk().faults().fail({.matches = on(Verb::remove_file, folder_of_group(2))});
    EXPECT_EQ((co_await peer.remove("orders")).error(), ErrorCode::io_error);
    EXPECT_EQ(co_await peer.counter("groups"), 1u);
  });
}

TEST(ServerCatalog, ATopicThatCannotBeMadeTakesBackAllThatWasMade) {
  ServerStory story({.shards = 2});
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    SimFaults& disk = story.server().disk().faults();
    disk.fail({.matches = on(Verb::create_folder, folder_of_group(5))});
    disk.fail({.matches = on(Verb::remove_file, folder_of_group(2))});
    EXPECT_EQ((co_await peer.create("orders", 6)).error(), ErrorCode::io_error);
    EXPECT_EQ(disk.hits(), 2u);
    EXPECT_EQ(co_await peer.counter("groups"), 1u);
  });
}

TEST(TopicRecord, ComesBackAsItWasWritten) {
  BufferPool pool({.bytes_max = 1_MiB, .idle_bytes_max = 0});
  Topic topic{.name = "orders", .id = {}, .partitions = 7, .settings = {}, .first_group = GroupId{42}};
  topic.id.bytes.fill(std::byte{9});
  topic.settings.retention_age = std::chrono::hours(5);
  topic.settings.segment_size = 5_MiB;
  for (const TopicChange& change : {TopicChange{"orders", topic}, TopicChange{"orders", {}}}) {
    const auto batch = encode_topic_change(pool, change, WallTime{1000});
    ASSERT_TRUE(batch);
    const auto changes = decode_topic_changes(batch->bytes());
    ASSERT_TRUE(changes) << changes.error().message;
    EXPECT_THAT(*changes, ElementsAre(change));
  }
}

TEST(TopicTable, FindsByNameAndByIdWhatWasPutLast) {
  TopicTable table;
  Topic first{.name = "orders", .id = {}, .partitions = 1, .settings = {}, .first_group = GroupId{1}};
  Topic second = first;
  second.id.bytes.fill(std::byte{1});
  table.put(first);
  EXPECT_EQ(*table.find("orders"), first);
  table.put(second);
  EXPECT_EQ(*table.find("orders"), second);
  EXPECT_EQ(table.find(first.id), nullptr);
  EXPECT_EQ(*table.find(second.id), second);
  table.erase("orders");
  EXPECT_EQ(table.find("orders"), nullptr);
  EXPECT_EQ(table.find(second.id), nullptr);
}

}  // namespace
}  // namespace millrace::test
