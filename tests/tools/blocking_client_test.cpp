// BlockingClient against a real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <span>

#include "net/client/blocking.h"
#include "tests/tools/process.h"

namespace millrace::tools::test {
namespace {

using testing::ElementsAre;

ByteView view(std::string_view text) {
  return std::as_bytes(std::span(text));
}

class BlockingClientTest : public testing::Test {
 protected:
  BlockingClientTest() {
    ClientOptions options;
    options.server = *parse_address(server_.address());
    client_.emplace(*BlockingClient::connect(options));
    TopicSpec topic;
    topic.name = "events";
    CHECK(client_->create_topic(topic));
  }
  static std::vector<std::string> values(const std::vector<OwnedRecord>& records) {
    std::vector<std::string> all;
    for (const OwnedRecord& record : records) all.push_back(record.value.value_or("(none)"));
    return all;
  }

  TestFolder folder_;
  ServerProcess server_{folder_.path("data")};
  std::optional<BlockingClient> client_;
};

TEST_F(BlockingClientTest, RecordsComeBackWithEverythingTheyHad) {
  const std::vector<RecordHeader> headers{{"name", view("value")}, {"none", std::nullopt}};
  std::vector<RecordView> records(3);
  records[0].key = view("key");
  records[0].value = view("first");
  records[0].headers = headers;
  records[1].value = view("");
  records[2].key = view("no value");
  const auto offsets = client_->produce({"events", 0}, records);
  ASSERT_TRUE(offsets.has_value()) << offsets.error().message;
  EXPECT_THAT(*offsets, ElementsAre(Offset{0}, Offset{1}, Offset{2}));
  const auto read = client_->read({"events", 0}, Offset{0}, 10);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  ASSERT_EQ(read->size(), 3u);
  EXPECT_EQ(read->at(0).key, "key");
  EXPECT_EQ(read->at(0).headers.at(0).key, "name");
  EXPECT_EQ(read->at(0).headers.at(0).value, "value");
  EXPECT_EQ(read->at(0).headers.at(1).value, std::nullopt);
  EXPECT_EQ(read->at(1).key, std::nullopt);
  EXPECT_EQ(read->at(1).value, "");
  EXPECT_EQ(read->at(2).value, std::nullopt);
  EXPECT_EQ(read->at(2).offset, Offset{2});
}

// That the connection was closed meanwhile was seen after the request had gone out over it.
TEST_F(BlockingClientTest, TheFirstCallAfterARestartGoesToTheNewServer) {
  EXPECT_TRUE(client_->list_topics().has_value());
  const std::string address = server_.address();
  EXPECT_EQ(server_.stop(), 0);
  ServerProcess again(folder_.path("data"), {"--listen", address});
  TopicSpec topic;
  topic.name = "later";
  const auto created = client_->create_topic(topic);
  EXPECT_TRUE(created.has_value()) << created.error().message;
}

TEST_F(BlockingClientTest, ReadsGiveWhatIsThereUpToTheCount) {
  std::vector<RecordView> records(5);
  const std::vector<std::string> texts{"a", "b", "c", "d", "e"};
  for (std::size_t i = 0; i < texts.size(); ++i) records[i].value = view(texts[i]);
  ASSERT_TRUE(client_->produce({"events", 0}, records).has_value());
  EXPECT_THAT(values(*client_->read({"events", 0}, Offset{1}, 2)), ElementsAre("b", "c"));
  EXPECT_THAT(values(*client_->read({"events", 0}, Offset{3}, 100)), ElementsAre("d", "e"));
  EXPECT_THAT(values(*client_->read({"events", 0}, Offset{5}, 100)), ElementsAre());
  EXPECT_EQ(client_->read({"events", 0}, Offset{6}, 1).error().code, ErrorCode::offset_out_of_range);
}

TEST_F(BlockingClientTest, MoreThanOneBatchGivesEveryRecordItsOffset) {
  const std::string value(1000, 'x');
  std::vector<RecordView> records(2000);
  for (RecordView& record : records) record.value = view(value);
  const auto offsets = client_->produce({"events", 0}, records);
  ASSERT_TRUE(offsets.has_value()) << offsets.error().message;
  for (std::size_t i = 0; i < offsets->size(); ++i)
    ASSERT_EQ(offsets->at(i), Offset{static_cast<std::int64_t>(i)});
  EXPECT_EQ(client_->read({"events", 0}, Offset{0}, 5000)->size(), 2000u);
}

TEST_F(BlockingClientTest, TopicsOffsetsAndTrimWork) {
  EXPECT_EQ(client_->list_topics()->at(0).name, "events");
  RecordView record;
  record.value = view("a");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client_->produce({"events", 0}, {&record, 1}).has_value());
  EXPECT_EQ(client_->list_offset({"events", 0}, OffsetQuery::latest)->offset, Offset{3});
  EXPECT_EQ(client_->trim({"events", 0}, Offset{2}), Offset{2});
  EXPECT_EQ(client_->list_offset({"events", 0}, OffsetQuery::earliest)->offset, Offset{2});
  EXPECT_EQ(client_->read({"events", 0}, Offset{0}, 1).error().code, ErrorCode::offset_out_of_range);
  EXPECT_EQ(client_->describe_topic("events")->partitions.at(0).log_start, Offset{2});
  EXPECT_FALSE(client_->status()->counters.empty());
  EXPECT_TRUE(client_->delete_topic("events").has_value());
  EXPECT_EQ(client_->delete_topic("events").error().code, ErrorCode::unknown_topic);
}

TEST_F(BlockingClientTest, WithoutAServerConnectSaysSo) {
  ClientOptions options;
  options.server = {"127.0.0.1", 1};
  EXPECT_EQ(BlockingClient::connect(options).error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace millrace::tools::test
