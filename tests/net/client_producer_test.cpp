// Producer against a scripted server: gathering, order, bounds, and what is said of each batch.
#include "net/background.h"
#include "net/client/producer.h"
#include "tests/net/client_fixture.h"

namespace millrace::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ProducerTest : public ClientFixture {
 protected:
  static void append(Producer& producer, ProducerTopic topic, const std::string& value) {
    const auto taken = producer.append(topic, 0, record_of(value));
    CHECK(taken, "{}", taken.error().message);
  }
  static std::vector<std::string> numbers(int count) {
    std::vector<std::string> all;
    for (int i = 0; i < count; ++i) all.push_back(std::to_string(i));
    return all;
  }
};

TEST_F(ProducerTest, RecordsArriveOnceAndInOrder) {
  const auto all = numbers(20'000);
  run([&](Client& client) -> Task<void> {
    std::int64_t next = 0;
    Producer producer(client, {.batch_bytes = 4096}, [&](const Delivery& delivery) {
      EXPECT_EQ(delivery.result->base_offset, Offset{next});
      EXPECT_EQ(delivery.first, static_cast<std::uint64_t>(next));
      next += delivery.count;
    });
    const auto topic = *co_await producer.open("events");
    for (const std::string& value : all) append(producer, topic, value);
    EXPECT_TRUE((co_await producer.flush()).has_value());
    EXPECT_EQ(next, 20'000);
    EXPECT_EQ(producer.statistics().records_delivered, 20'000u);
    EXPECT_EQ(producer.buffered_bytes(), 0u);
  });
  EXPECT_EQ(server_.values(), all);
}

TEST_F(ProducerTest, RecordsGatherWhileABatchIsOnTheWay) {
  run([this](Client& client) -> Task<void> {
    Producer producer(client);
    const auto topic = *co_await producer.open("events");
    append(producer, topic, "first");
    static_cast<void>(co_await client.reactor().sleep(std::chrono::microseconds(1)));
    for (int i = 0; i < 100; ++i) append(producer, topic, "later");
    EXPECT_TRUE((co_await producer.flush()).has_value());
    EXPECT_EQ(server_.batches().size(), 2u);
  });
}

// Whatever a full batch's size: one record is one batch, in a block of the smallest size.
TEST_F(ProducerTest, OneRecordAtATimeTakesNoMoreThanItNeeds) {
  run([this](Client& client) -> Task<void> {
    Producer producer(client);
    const auto topic = *co_await producer.open("events");
    const BufferPool& pool = client.reactor().buffers();
    const std::uint64_t before = pool.bytes_in_use();
    for (std::size_t i = 1; i <= 20; ++i) {
      append(producer, topic, "alone");
      EXPECT_EQ(pool.bytes_in_use() - before, 4_KiB);
      EXPECT_TRUE((co_await producer.flush()).has_value());
      EXPECT_EQ(server_.batches().size(), i);
    }
  });
}

TEST_F(ProducerTest, LingerGathersWhenNothingIsOnTheWay) {
  run([this](Client& client) -> Task<void> {
    Producer producer(client, {.linger = std::chrono::seconds(1)});
    const auto topic = *co_await producer.open("events");
    for (int i = 0; i < 10; ++i) {
      append(producer, topic, "slow");
      static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(50)));
    }
    EXPECT_EQ(server_.batches().size(), 0u);
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(2)));
    EXPECT_EQ(server_.batches().size(), 1u);
  });
}

TEST_F(ProducerTest, AtMostSoManyBatchesAreOnTheWay) {
  server_.on_produce = [](std::uint64_t) { return Reply::hold; };
  run([this](Client& client) -> Task<void> {
    Producer producer(client, {.batch_bytes = 4096, .batches_in_flight_max = 2});
    const auto topic = *co_await producer.open("events");
    for (int i = 0; i < 5; ++i) append(producer, topic, std::string(4000, 'x'));
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    EXPECT_EQ(server_.produces(), 2u);
    server_.on_produce = [](std::uint64_t) { return Reply::answer; };
    server_.release();
    EXPECT_TRUE((co_await producer.flush()).has_value());
    EXPECT_EQ(server_.produces(), 5u);
  });
}

// Five batches are there from the beginning, and each takes 20 s of a timeout of 30.
TEST_F(ProducerTest, ABatchHasItsTimeFromWhenThoseBeforeItAreDelivered) {
  server_.on_produce = [](std::uint64_t) { return Reply::hold; };
  run([&](Client& client) -> Task<void> {
    Producer producer(client, {.batch_bytes = 4096, .batches_in_flight_max = 1});
    const auto topic = *co_await producer.open("events");
    for (int i = 0; i < 5; ++i) append(producer, topic, std::string(4000, 'x'));
    for (int i = 0; i < 5; ++i) {
      static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(20)));
      server_.release();
    }
    EXPECT_TRUE((co_await producer.flush()).has_value());
    EXPECT_EQ(producer.statistics().records_delivered, 5u);
  });
}

TEST_F(ProducerTest, BatchesBehindOneThatIsNeverAnsweredEndWithIt) {
  server_.on_produce = [](std::uint64_t) { return Reply::silence; };
  run([&](Client& client) -> Task<void> {
    Producer producer(client, {.batch_bytes = 4096, .batches_in_flight_max = 1, .idempotent = false});
    const auto topic = *co_await producer.open("events");
    const MonotonicTime begin = client.reactor().now();
    for (int i = 0; i < 5; ++i) append(producer, topic, std::string(4000, 'x'));
    EXPECT_EQ((co_await producer.flush()).error().code, ErrorCode::timed_out);
    EXPECT_LT(client.reactor().now() - begin, std::chrono::seconds(31));
    EXPECT_EQ(producer.statistics().records_failed, 4u);
  });
}

TEST_F(ProducerTest, AppendRefusesBeyondItsBoundUntilThereIsRoom) {
  run([](Client& client) -> Task<void> {
    Producer producer(client, {.batch_bytes = 4096, .buffered_bytes_max = 64 << 10});
    const auto topic = *co_await producer.open("events");
    const std::string value(1000, 'x');
    int taken = 0;
    while (producer.append(topic, 0, record_of(value))) ++taken;
    EXPECT_EQ(producer.append(topic, 0, record_of(value)).error().code, ErrorCode::overloaded);
    EXPECT_THAT(taken, testing::AllOf(testing::Ge(60), testing::Le(66)));
    EXPECT_TRUE((co_await producer.room()).has_value());
    EXPECT_TRUE(producer.append(topic, 0, record_of(value)).has_value());
    EXPECT_TRUE((co_await producer.flush()).has_value());
    EXPECT_EQ(producer.statistics().records_delivered, static_cast<std::uint64_t>(taken) + 1);
  });
}

TEST_F(ProducerTest, ARecordLargerThanABatchGetsItsOwn) {
  const std::string large(1 << 20, 'L');
  run([&](Client& client) -> Task<void> {
    Producer producer(client, {.batch_bytes = 4096});
    const auto topic = *co_await producer.open("events");
    append(producer, topic, "before");
    append(producer, topic, large);
    append(producer, topic, "after");
    EXPECT_TRUE((co_await producer.flush()).has_value());
    const auto refused = producer.append(topic, 0, record_of(std::string(k_batch_size_max, 'x')));
    EXPECT_EQ(refused.error().code, ErrorCode::record_too_large);
  });
  EXPECT_EQ(server_.values(), (std::vector<std::string>{"before", large, "after"}));
}

TEST_F(ProducerTest, CompressedBatchesHoldTheSameRecords) {
  const auto all = numbers(1000);
  for (const Codec codec : {Codec::lz4, Codec::zstd}) {
    run([&](Client& client) -> Task<void> {
      Producer producer(client, {.codec = codec});
      const auto topic = *co_await producer.open("events");
      for (const std::string& value : all) append(producer, topic, value);
      EXPECT_TRUE((co_await producer.flush()).has_value());
      EXPECT_LT(producer.statistics().batch_bytes, producer.statistics().record_bytes * 4);
    });
  }
  auto twice = all;
  twice.insert(twice.end(), all.begin(), all.end());
  EXPECT_EQ(server_.values(), twice);
  EXPECT_EQ(static_cast<Codec>(server_.batches().front()[22] & 7), Codec::lz4);
  EXPECT_EQ(static_cast<Codec>(server_.batches().back()[22] & 7), Codec::zstd);
}

TEST_F(ProducerTest, SendGivesTheRecordsOffset) {
  run([](Client& client) -> Task<void> {
    Producer producer(client);
    const auto topic = *co_await producer.open("events");
    append(producer, topic, "zero");
    append(producer, topic, "one");
    const std::string value = "two";
    EXPECT_EQ(co_await producer.send(topic, 0, record_of(value)), Offset{2});
  });
}

// Batches that end in any order, and some who no longer wait.
TEST_F(ProducerTest, EachOfManyWhoWaitHearsOfItsOwnRecord) {
  constexpr int k_waits = 1000;
  server_.on_produce = [](std::uint64_t request) { return request % 3 == 0 ? Reply::hold : Reply::answer; };
  run([this](Client& client) -> Task<void> {
    Producer producer(client, {.batch_bytes = 4096});
    const auto topic = *co_await producer.open("events");
    auto all = numbers(k_waits);
    for (std::string& value : all) value.resize(100, ' ');
    std::vector<std::optional<Offset>> offsets(k_waits);
    const auto send = [&](std::size_t i) -> Task<void> {
      offsets[i] = *co_await producer.send(topic, 0, record_of(all[i]));
    };
    std::vector<std::coroutine_handle<>> gone;
    Gate gate(client.reactor());
    for (std::size_t i = 0; i < k_waits; ++i) {
      if (i % 10 == 3) {
        gone.push_back(send(i).release());
        gone.back().resume();
      } else {
        gate.spawn(send(i));
      }
    }
    static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(1)));
    for (auto frame : gone) frame.destroy();
    for (int i = 0; i < k_waits; ++i) {
      static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(1)));
      server_.release();
    }
    co_await gate.wait();
    const std::vector<std::string> stored = server_.values();
    for (std::size_t i = 0; i < k_waits; ++i) {
      EXPECT_TRUE(offsets[i] || i % 10 == 3) << i;
      if (offsets[i]) EXPECT_EQ(stored[static_cast<std::size_t>(offsets[i]->value())], all[i]);
    }
  });
}

TEST_F(ProducerTest, ARefusedBatchFailsAndLaterOnesGoOn) {
  server_.on_produce = [](std::uint64_t request) { return request == 0 ? Reply::refuse : Reply::answer; };
  run([](Client& client) -> Task<void> {
    Producer producer(client);
    const auto topic = *co_await producer.open("events");
    append(producer, topic, "refused");
    const auto flushed = co_await producer.flush();
    EXPECT_EQ(flushed.error().code, ErrorCode::disk_full);
    append(producer, topic, "taken");
    EXPECT_TRUE((co_await producer.flush()).has_value());
    EXPECT_EQ(producer.statistics().records_failed, 1u);
    EXPECT_EQ(producer.statistics().records_delivered, 1u);
    EXPECT_EQ(producer.statistics().record_bytes,
              std::string("refused").size() + std::string("taken").size());
    EXPECT_EQ(producer.statistics().record_bytes_delivered, std::string("taken").size());
  });
  EXPECT_THAT(server_.values(), ElementsAre("taken"));
}

// Of two at a time the first to wake took the error, and the other one heard that its record was durable.
TEST_F(ProducerTest, EachOfSeveralFlushesHearsOfTheBatchThatFailed) {
  server_.on_produce = [](std::uint64_t request) { return request == 0 ? Reply::refuse : Reply::answer; };
  run([](Client& client) -> Task<void> {
    Producer producer(client);
    const auto topic = *co_await producer.open("events");
    append(producer, topic, "refused");
    append(producer, topic, "with it");
    std::vector<Result<void>> flushed;
    const auto flush = [&]() -> Task<void> { flushed.push_back(co_await producer.flush()); };
    const Background first(flush());
    const Background second(flush());
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    CHECK(flushed.size() == 2);
    EXPECT_EQ(flushed[0].error().code, ErrorCode::disk_full);
    EXPECT_EQ(flushed[1].error().code, ErrorCode::disk_full);
    EXPECT_TRUE((co_await producer.flush()).has_value());
  });
}

TEST_F(ProducerTest, AFlushDoesNotHearOfWhatWasAppendedBehindIt) {
  server_.on_produce = [](std::uint64_t request) { return request == 0 ? Reply::hold : Reply::refuse; };
  run([this](Client& client) -> Task<void> {
    Producer producer(client);
    const auto topic = *co_await producer.open("events");
    append(producer, topic, "taken");
    std::vector<Result<void>> flushed;
    const auto flush = [&]() -> Task<void> { flushed.push_back(co_await producer.flush()); };
    const Background first(flush());
    append(producer, topic, "refused");
    const Background second(flush());
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    server_.release();
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    CHECK(flushed.size() == 2);
    EXPECT_TRUE(flushed[0].has_value());
    EXPECT_EQ(flushed[1].error().code, ErrorCode::disk_full);
  });
}

TEST_F(ProducerTest, WhoWaitsForAProducerThatGoesHearsOfIt) {
  server_.on_produce = [](std::uint64_t) { return Reply::silence; };
  run([](Client& client) -> Task<void> {
    std::optional<Producer> producer(std::in_place, client, ProducerOptions{.buffered_bytes_max = 1});
    const auto topic = *co_await producer->open("events");
    std::vector<ErrorCode> heard;
    const auto flush = [&]() -> Task<void> { heard.push_back((co_await producer->flush()).error().code); };
    const auto room = [&]() -> Task<void> { heard.push_back((co_await producer->room()).error().code); };
    const auto send = [&]() -> Task<void> {
      heard.push_back((co_await producer->send(topic, 0, record_of("x"))).error().code);
    };
    const Background sending(send());
    const Background flushing(flush());
    const Background waiting(room());
    static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(1)));
    producer.reset();
    static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(1)));
    EXPECT_THAT(heard, testing::UnorderedElementsAre(ErrorCode::cancelled, ErrorCode::cancelled,
                                                     ErrorCode::cancelled));
  });
}

// 1. `first` is sent, and fills the producer: `room` waits in room(), and `second` in send(), for room.
// 2. `first` is answered, which makes room: all three are woken.
// 3. `first` runs before the others, and destroys the producer.
// 4. `room` said that there was some. `second` appended its record, behind the back of the destructor, and
//    waited for ever.
TEST_F(ProducerTest, RoomInAProducerThatIsGoneIsNone) {
  server_.on_produce = [](std::uint64_t) { return Reply::hold; };
  run([this](Client& client) -> Task<void> {
    std::optional<Producer> producer(std::in_place, client, ProducerOptions{.buffered_bytes_max = 1});
    const auto topic = *co_await producer->open("events");
    std::vector<std::string> heard;
    const auto hear = [&](const std::string& who, const auto& result) {
      heard.push_back(who + ": " + (result ? "well" : std::string(name(result.error().code))));
    };
    const auto first = [&]() -> Task<void> {
      hear("first", co_await producer->send(topic, 0, record_of("first")));
      producer.reset();
    };
    const auto second = [&]() -> Task<void> {
      hear("second", co_await producer->send(topic, 0, record_of("second")));
    };
    const auto room = [&]() -> Task<void> { hear("room", co_await producer->room()); };
    const Background sending_first(first());
    const Background waiting(room());
    const Background sending_second(second());
    static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(1)));
    server_.release();
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    EXPECT_THAT(heard, ElementsAre("first: well", "room: cancelled", "second: cancelled"));
  });
  EXPECT_THAT(server_.values(), ElementsAre("first"));
}

TEST_F(ProducerTest, WhoOpensATopicOfAProducerThatGoesHearsOfIt) {
  run([](Client& client) -> Task<void> {
    std::optional<Producer> producer(std::in_place, client);
    std::optional<Result<ProducerTopic>> opened;
    const auto open = [&]() -> Task<void> { opened = co_await producer->open("events"); };
    const Background opening(open());
    producer.reset();
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    CHECK(opened && !*opened, "the topic of a producer that is gone was opened, or nobody heard");
    EXPECT_EQ(opened->error().code, ErrorCode::cancelled);
  });
}

TEST_F(ProducerTest, AfterAFailureNothingMoreIsSentIfSoWished) {
  server_.on_produce = [](std::uint64_t request) { return request == 0 ? Reply::refuse : Reply::answer; };
  run([](Client& client) -> Task<void> {
    Producer producer(client,
                      {.batch_bytes = 4096, .batches_in_flight_max = 1, .after_failure = AfterFailure::stop});
    const auto topic = *co_await producer.open("events");
    for (int i = 0; i < 3; ++i) append(producer, topic, std::string(4000, 'x'));
    EXPECT_EQ((co_await producer.flush()).error().code, ErrorCode::disk_full);
    const auto refused = producer.append(topic, 0, record_of("more"));
    EXPECT_EQ(refused.error().code, ErrorCode::cancelled);
    EXPECT_THAT(refused.error().message, HasSubstr("an earlier batch failed"));
    EXPECT_EQ(producer.statistics().records_failed, 3u);
  });
  EXPECT_EQ(server_.produces(), 1u);
}

TEST_F(ProducerTest, WithoutIdempotenceAnUnknownOutcomeIsReportedAndNothingIsSentTwice) {
  server_.on_produce = [](std::uint64_t request) { return request == 0 ? Reply::close : Reply::answer; };
  run([](Client& client) -> Task<void> {
    std::vector<ErrorCode> errors;
    Producer producer(client, {.idempotent = false}, [&](const Delivery& delivery) {
      if (!delivery.result) errors.push_back(delivery.result.error().code);
    });
    const auto topic = *co_await producer.open("events");
    append(producer, topic, "unknown");
    EXPECT_FALSE((co_await producer.flush()).has_value());
    append(producer, topic, "next");
    EXPECT_TRUE((co_await producer.flush()).has_value());
    EXPECT_THAT(errors, ElementsAre(ErrorCode::connection_lost));
    EXPECT_EQ(producer.statistics().records_unknown, 1u);
  });
  EXPECT_THAT(server_.values(), ElementsAre("unknown", "next"));
}

TEST_F(ProducerTest, ManyPartitionsWithLittleEachDoNotBlockEachOther) {
  server_.partitions = 100;
  server_.requests_in_flight_max = 8;
  run([](Client& client) -> Task<void> {
    Producer producer(client, {.buffered_bytes_max = 4096});
    const auto topic = *co_await producer.open("events");
    EXPECT_EQ(topic.partitions, 100u);
    const std::string value(200, 'x');
    for (std::uint32_t i = 0; i < 300; ++i) {
      while (!producer.append(topic, i % 100, record_of(value))) CHECK(co_await producer.room());
    }
    EXPECT_TRUE((co_await producer.flush()).has_value());
    EXPECT_EQ(producer.statistics().records_delivered, 300u);
  });
}

TEST_F(ProducerTest, APartitionThatIsNotThereIsRefused) {
  run([](Client& client) -> Task<void> {
    Producer producer(client);
    const auto topic = *co_await producer.open("events");
    EXPECT_EQ(producer.append(topic, 1, record_of("x")).error().code, ErrorCode::invalid_argument);
  });
}

// Kafka's murmur2 of "21" (UtilsTest.testMurmur2), so that a key lands where Kafka's clients put it.
TEST(ProducerPartition, IsTheOneThatKafkasClientsChoose) {
  EXPECT_EQ(Producer::partition_of(view("21"), 10),
            (static_cast<std::uint32_t>(-973932308) & 0x7fffffff) % 10);
}

}  // namespace
}  // namespace millrace::test
