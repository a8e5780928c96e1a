// Consumer and EntryDecoder: records out of entries, and what is said of damaged ones.
#include "engine/base/batch_builder.h"
#include "engine/base/checksum.h"
#include "net/background.h"
#include "net/client/consumer.h"
#include "net/client/entry_decoder.h"
#include "tests/net/client_fixture.h"

namespace millrace::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string text(const std::optional<ByteView>& bytes) {
  return bytes ? std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()) : "(null)";
}

class EntryDecoderTest : public testing::Test {
 protected:
  std::string batch_of(const std::vector<std::string>& values, Codec codec = Codec::none) {
    RecordBatchBuilder builder(pool_);
    for (const std::string& value : values) CHECK(builder.append(record_of(value)) == BatchAppend::appended);
    const Slice batch = *builder.finish(codec);
    return {reinterpret_cast<const char*>(batch.bytes().data()), batch.length};
  }
  void feed(const std::string& entries) {
    Buffer buffer = *pool_.acquire(entries.size());
    std::memcpy(buffer.data(), entries.data(), entries.size());
    decoder_.feed({buffer, 0, static_cast<std::uint32_t>(entries.size())});
  }
  // "offset:value" of all records, then the error, if there is one.
  std::vector<std::string> drain() {
    std::vector<std::string> all;
    RecordView record;
    for (;;) {
      const auto more = decoder_.next(record, wanted_);
      if (!more) all.push_back(more.error().message);
      if (!more || !*more) return all;
      all.push_back(fmt::format("{}:{}", record.offset.value(), text(record.value)));
    }
  }

  BufferPool pool_{{.bytes_max = 64 << 20, .idle_bytes_max = 0}};
  Inflater inflater_;
  EntryDecoder decoder_{inflater_};
  Offset wanted_{0};
};

TEST_F(EntryDecoderTest, RecordsComeInOrderAcrossEntriesAndInternalOnesArePassedOver) {
  feed(internal_entry(0) + entry_of(batch_of({"a", "b"}), 0) + internal_entry(2) +
       entry_of(batch_of({"c"}), 2));
  EXPECT_THAT(drain(), ElementsAre("0:a", "1:b", "2:c"));
  EXPECT_TRUE(decoder_.done());
  EXPECT_EQ(wanted_, Offset{3});
}

TEST_F(EntryDecoderTest, RecordsBeforeTheWantedOneAreLeftOut) {
  wanted_ = Offset{11};
  feed(entry_of(batch_of({"a", "b", "c"}), 10));
  EXPECT_THAT(drain(), ElementsAre("11:b", "12:c"));
}

TEST_F(EntryDecoderTest, Lz4AndZstdAreDecoded) {
  const std::string value(500, 'v');
  feed(entry_of(batch_of({value}, Codec::lz4), 0) + entry_of(batch_of({value}, Codec::zstd), 1));
  EXPECT_THAT(drain(), ElementsAre("0:" + value, "1:" + value));
}

TEST_F(EntryDecoderTest, TheSpaceOfALargeBatchGoesWithIt) {
  for (const Codec codec : {Codec::lz4, Codec::zstd}) {
    const std::string large(6u << 20, 'v');
    feed(entry_of(batch_of({large}, codec), wanted_.value()));
    RecordView record;
    ASSERT_TRUE(*decoder_.next(record, wanted_));
    EXPECT_GT(decoder_.bytes_held(), large.size());
    ASSERT_FALSE(*decoder_.next(record, wanted_));
    EXPECT_LE(decoder_.bytes_held(), k_inflated_bytes_kept);
  }
}

// One a partition that was idle kept its last answer's memory, which all others waited for.
TEST_F(EntryDecoderTest, TheEntriesGoWhenTheyAreUsedUp) {
  feed(entry_of(batch_of({std::string(1u << 20, 'v')}), 0));
  EXPECT_EQ(drain().size(), 1u);
  EXPECT_TRUE(decoder_.done());
  EXPECT_EQ(pool_.bytes_in_use(), 0u);
}

TEST_F(EntryDecoderTest, OtherCodecsAreRefusedByName) {
  std::string batch = batch_of({"a"});
  auto* header = reinterpret_cast<std::byte*>(batch.data());
  header[22] = std::byte{2};
  const std::uint32_t crc = crc32c(std::as_bytes(std::span(batch)).subspan(21));
  for (int i = 0; i < 4; ++i) header[17 + i] = static_cast<std::byte>(crc >> (24 - 8 * i));
  feed(entry_of(batch, 0));
  EXPECT_THAT(drain(), ElementsAre(HasSubstr("snappy")));
}

TEST_F(EntryDecoderTest, ADamagedHeaderBatchOrEndIsAnError) {
  const std::string good = entry_of(batch_of({"a"}), 0);
  std::string bad_header = good;
  bad_header[24] ^= 1;
  feed(bad_header);
  EXPECT_THAT(drain(), ElementsAre(testing::Not(HasSubstr("0:a"))));
  std::string bad_batch = good;
  bad_batch[110] ^= 1;
  feed(bad_batch);
  EXPECT_THAT(drain(), ElementsAre(testing::Not(HasSubstr("0:a"))));
  feed(good.substr(0, good.size() - 16));
  EXPECT_THAT(drain(), ElementsAre(HasSubstr("where the server sent")));
}

class ConsumerTest : public ClientFixture {
 protected:
  static std::string batch_of(Client& client, const std::string& value) {
    RecordBatchBuilder builder(client.reactor().buffers());
    CHECK(builder.append(record_of(value)) == BatchAppend::appended);
    const Slice batch = *builder.finish();
    return {reinterpret_cast<const char*>(batch.bytes().data()), batch.length};
  }
  // Adds a record to the server's partition.
  void add(Client& client, const std::string& value) {
    server_.entries += entry_of(batch_of(client, value), server_.end);
    ++server_.end;
  }
  // Waits for the next record; "" at the deadline.
  static Task<std::string> next(Consumer& consumer, MonotonicTime deadline = k_never) {
    for (;;) {
      if (const ConsumedRecord* record = consumer.next()) {
        co_return fmt::format("{}/{}@{}={}", record->topic, record->partition, record->record.offset.value(),
                              text(record->record.value));
      }
      const auto more = co_await consumer.wait(deadline);
      if (!more) co_return more.error().message;
    }
  }
};

TEST_F(ConsumerTest, FollowsAPartitionAsItGrows) {
  run([this](Client& client) -> Task<void> {
    add(client, "a");
    Consumer consumer(client);
    consumer.follow({"events", 0}, Offset{0});
    EXPECT_EQ(co_await next(consumer), "events/0@0=a");
    add(client, "b");
    EXPECT_EQ(co_await next(consumer), "events/0@1=b");
    const auto progress = consumer.progress({"events", 0});
    EXPECT_EQ(progress->next_offset, Offset{2});
    EXPECT_EQ(progress->committed_end, Offset{2});
  });
}

TEST_F(ConsumerTest, TheDeadlineEndsAWaitAtTheEndOfTheLog) {
  run([](Client& client) -> Task<void> {
    Consumer consumer(client);
    consumer.follow({"events", 0}, Offset{0});
    const auto waited = co_await consumer.wait(client.reactor().now() + std::chrono::seconds(2));
    EXPECT_EQ(waited.error().code, ErrorCode::timed_out);
  });
}

TEST_F(ConsumerTest, WhoWaitsHearsThatNothingIsFollowedAnyMore) {
  run([](Client& client) -> Task<void> {
    std::optional<Consumer> consumer(std::in_place, client);
    std::vector<ErrorCode> heard;
    const auto wait = [&]() -> Task<void> { heard.push_back((co_await consumer->wait()).error().code); };
    consumer->follow({"events", 0}, Offset{0});
    const Background unfollowed(wait());
    static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(1)));
    consumer->unfollow({"events", 0});
    static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(1)));
    EXPECT_THAT(heard, ElementsAre(ErrorCode::invalid_argument));
    consumer->follow({"events", 0}, Offset{0});
    const Background destroyed(wait());
    static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(1)));
    consumer.reset();
    static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(1)));
    EXPECT_THAT(heard, ElementsAre(ErrorCode::invalid_argument, ErrorCode::invalid_argument));
  });
}

// Each partition's last answer stayed in memory until its next one came, which found none.
TEST_F(ConsumerTest, MorePartitionsThanMemoryForTheirAnswersAreRead) {
  run([this](Client& client) -> Task<void> {
    constexpr std::uint32_t k_partitions = 20;
    add(client, std::string(900 << 10, 'x'));
    std::vector<Buffer> all;
    while (auto buffer = client.reactor().buffers().acquire(16_MiB)) all.push_back(*std::move(buffer));
    all.pop_back();
    Consumer consumer(client);
    for (std::uint32_t i = 0; i < k_partitions; ++i) consumer.follow({"events", i}, Offset{0});
    for (std::uint32_t i = 0; i < k_partitions; ++i)
      EXPECT_NE(co_await next(consumer, client.reactor().now() + std::chrono::seconds(60)), "") << i;
  });
}

TEST_F(ConsumerTest, GoesOnAfterTheServerWasAway) {
  run([this](Client& client) -> Task<void> {
    add(client, "before");
    Consumer consumer(client);
    consumer.follow({"events", 0}, Offset{0});
    EXPECT_EQ(co_await next(consumer), "events/0@0=before");
    server_node_.kill();
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(3)));
    start_server();
    add(client, "after");
    EXPECT_EQ(co_await next(consumer), "events/0@1=after");
  });
}

TEST_F(ConsumerTest, AnOutageIsToldOnceAndSoIsItsEnd) {
  run([this](Client& client) -> Task<void> {
    std::vector<std::string> news;
    Consumer consumer(client, {}, [&](const Error* reason) {
      news.emplace_back(reason == nullptr ? "over" : name(reason->code));
    });
    consumer.follow({"events", 0}, Offset{0});
    consumer.follow({"events", 1}, Offset{0});
    for (int outage = 0; outage < 2; ++outage) {
      add(client, "a");
      for (int partition = 0; partition < 2; ++partition) co_await next(consumer);
      server_node_.kill();
      static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(3)));
      start_server();
    }
    add(client, "b");
    for (int partition = 0; partition < 2; ++partition) co_await next(consumer);
    EXPECT_THAT(news, ElementsAre("connection_lost", "over", "connection_lost", "over"));
  });
}

TEST_F(ConsumerTest, WithoutPatienceThereIsNoOutageToTellOf) {
  options_.connect_patience = Duration::zero();
  run([this](Client& client) -> Task<void> {
    Consumer consumer(client, {.patience = Duration::zero()},
                      [](const Error*) { ADD_FAILURE() << "nothing is repeated"; });
    consumer.follow({"events", 0}, Offset{0});
    server_node_.kill();
    EXPECT_FALSE(co_await consumer.wait());
  });
}

TEST_F(ConsumerTest, AServerThatStaysAwayIsAnErrorAfterThePatience) {
  options_.connect_patience = Duration::zero();
  run([this](Client& client) -> Task<void> {
    Consumer consumer(client, {.patience = std::chrono::seconds(5)});
    consumer.follow({"events", 0}, Offset{0});
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    server_node_.kill();
    const MonotonicTime begun = client.reactor().now();
    const auto waited = co_await consumer.wait();
    EXPECT_EQ(waited.error().code, ErrorCode::unavailable);
    EXPECT_THAT(waited.error().message, HasSubstr("events/0 at offset 0"));
    EXPECT_GT(client.reactor().now() - begun, std::chrono::seconds(3));
    EXPECT_EQ((co_await consumer.wait()).error().code, ErrorCode::invalid_argument)
        << "nothing is followed any more";
  });
}

TEST_F(ConsumerTest, DamageEndsThePartitionWithItsPlace) {
  run([this](Client& client) -> Task<void> {
    add(client, "good");
    add(client, "bad");
    server_.entries.back() = 'x';
    server_.entries[server_.entries.size() - 60] ^= 1;
    Consumer consumer(client);
    consumer.follow({"events", 0}, Offset{0});
    EXPECT_EQ(co_await next(consumer), "events/0@0=good");
    EXPECT_THAT(co_await next(consumer), HasSubstr("events/0 at offset 1"));
  });
}

}  // namespace
}  // namespace millrace::test
