// CallProducer against a scripted server: what goes on from call to call, and what does not.
#include "net/client/call_producer.h"
#include "tests/net/client_fixture.h"

namespace millrace::test {
namespace {

using testing::ElementsAre;

class CallProducerTest : public ClientFixture {
 protected:
  static Task<Result<std::vector<Offset>>> produce(CallProducer& producer, std::vector<std::string> values,
                                                   ProducerOptions options = {},
                                                   std::uint32_t partition = 0) {
    std::vector<RecordView> records;
    for (const std::string& value : values) records.push_back(record_of(value));
    co_return co_await producer.produce({"events", partition}, records, options);
  }
};

// Each was a producer of its own, and 256 of them made the partition forget all others.
TEST_F(CallProducerTest, AThousandCallsAreOneProducers) {
  run([](Client& client) -> Task<void> {
    CallProducer producer(client);
    for (std::int64_t i = 0; i < 1000; ++i)
      EXPECT_THAT(*co_await produce(producer, {"a", "b"}), ElementsAre(Offset{2 * i}, Offset{2 * i + 1}));
  });
  EXPECT_EQ(server_.producers(), 1);
}

TEST_F(CallProducerTest, OtherOptionsAreAnothers) {
  run([](Client& client) -> Task<void> {
    CallProducer producer(client);
    EXPECT_THAT(*co_await produce(producer, {"a"}), ElementsAre(Offset{0}));
    const ProducerOptions compressed{.codec = Codec::lz4};
    EXPECT_THAT(*co_await produce(producer, {"b"}, compressed), ElementsAre(Offset{1}));
    EXPECT_THAT(*co_await produce(producer, {"c"}, compressed), ElementsAre(Offset{2}));
  });
  EXPECT_EQ(server_.producers(), 2);
}

TEST_F(CallProducerTest, ACallThatFailsIsNotTheNextOnes) {
  server_.on_produce = [](std::uint64_t request) { return request == 1 ? Reply::refuse : Reply::answer; };
  run([](Client& client) -> Task<void> {
    CallProducer producer(client);
    const ProducerOptions options{.batch_bytes = 4096, .after_failure = AfterFailure::stop};
    EXPECT_THAT(*co_await produce(producer, {"a"}, options), ElementsAre(Offset{0}));
    EXPECT_EQ((co_await produce(producer, {"refused"}, options)).error().code, ErrorCode::disk_full);
    EXPECT_THAT(*co_await produce(producer, {"b"}, options), ElementsAre(Offset{1}));
    // What was gathered before the record that is too large goes with it.
    EXPECT_EQ(
        (co_await produce(producer, {"gathered", std::string(k_batch_size_max, 'x')}, options)).error().code,
        ErrorCode::record_too_large);
    EXPECT_THAT(*co_await produce(producer, {"c"}, options), ElementsAre(Offset{2}));
  });
  EXPECT_THAT(server_.values(), ElementsAre("a", "b", "c"));
}

TEST_F(CallProducerTest, ATopicMayHaveMorePartitionsThanBefore) {
  run([this](Client& client) -> Task<void> {
    CallProducer producer(client);
    EXPECT_TRUE(co_await produce(producer, {"a"}));
    EXPECT_EQ((co_await produce(producer, {"b"}, {}, 1)).error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(co_await produce(producer, {"c"}));
    server_.partitions = 2;
    EXPECT_TRUE(co_await produce(producer, {"d"}, {}, 1));
  });
}

// The partition has forgotten the producer: it goes on under its next epoch.
TEST_F(CallProducerTest, ACallAfterManyOfOthersIsStored) {
  run([this](Client& client) -> Task<void> {
    CallProducer producer(client);
    EXPECT_THAT(*co_await produce(producer, {"a"}), ElementsAre(Offset{0}));
    server_.forget_producers();
    EXPECT_THAT(*co_await produce(producer, {"b"}), ElementsAre(Offset{1}));
  });
  EXPECT_THAT(server_.values(), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace millrace::test
