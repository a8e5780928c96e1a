// An idempotent producer against a scripted server: what it sends again, in which order and under which
// numbers.
#include <algorithm>
#include <numeric>

#include "engine/base/record_batch.h"
#include "engine/reactor/sim_random.h"
#include "net/client/producer.h"
#include "tests/net/client_fixture.h"

namespace millrace::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ProducerAgain : public ClientFixture {
 protected:
  // Each record fills a batch.
  static constexpr std::uint32_t k_batch_bytes = 4096;
  static std::string value_of(int number) {
    std::string value = std::to_string(number) + " ";
    value.resize(3900, '.');
    return value;
  }
  [[nodiscard]] std::vector<int> stored() const {
    std::vector<int> numbers;
    for (const std::string& value : server_.values()) numbers.push_back(std::stoi(value));
    return numbers;
  }
  static std::vector<int> up_to(int count) {
    std::vector<int> numbers(static_cast<std::size_t>(count));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
  }

  [[nodiscard]] Producer::OnDelivery on_delivery() {
    return [this](const Delivery& delivery) {
      if (delivery.result) {
        delivered_.push_back(static_cast<int>(delivery.first));
      } else {
        failed_.emplace_back(static_cast<int>(delivery.first), delivery.result.error());
      }
    };
  }
  static void append(Producer& producer, ProducerTopic topic, int number) {
    const auto taken = producer.append(topic, 0, record_of(value_of(number)));
    CHECK(taken, "{}", taken.error().message);
  }
  static Task<Result<void>> append_and_flush(Producer& producer, ProducerTopic topic, int number) {
    append(producer, topic, number);
    return producer.flush();
  }
  // Appends so many records, a batch each, and waits for the fate of all.
  void produce(int count, ProducerOptions options = {}) {
    run([&](Client& client) -> Task<void> {
      options.batch_bytes = k_batch_bytes;
      Producer producer(client, options, on_delivery());
      const auto topic = *co_await producer.open("events");
      for (int i = 0; i < count; ++i) {
        const std::string value = value_of(i);
        while (!producer.append(topic, 0, record_of(value))) CHECK(co_await producer.room());
      }
      static_cast<void>(co_await producer.flush());
      again_ = producer.statistics().batches_again;
      EXPECT_EQ(producer.buffered_bytes(), 0u);
    });
  }
  // Scripted replies to the first requests; later ones are answered.
  void reply(std::vector<Reply> replies) {
    server_.on_produce = [replies = std::move(replies)](std::uint64_t request) {
      return request < replies.size() ? replies[request] : Reply::answer;
    };
  }
  [[nodiscard]] std::vector<std::pair<int, ErrorCode>> failures() const {
    std::vector<std::pair<int, ErrorCode>> codes;
    for (const auto& [number, error] : failed_) codes.emplace_back(number, error.code);
    return codes;
  }

  std::vector<int> delivered_;
  std::vector<std::pair<int, Error>> failed_;
  std::uint64_t again_ = 0;
};

TEST_F(ProducerAgain, ABatchWhoseConnectionBrokeIsSentAgainAndStandsInTheLogOnce) {
  reply({Reply::close});
  produce(1);
  EXPECT_THAT(delivered_, ElementsAre(0));
  EXPECT_EQ(stored(), up_to(1));
  EXPECT_EQ(server_.produces(), 2u);
  EXPECT_EQ(again_, 1u);
}

TEST_F(ProducerAgain, AllOnTheWayAreSentAgainInOrder) {
  reply({Reply::answer, Reply::answer, Reply::close});
  produce(8);
  EXPECT_EQ(stored(), up_to(8));
  EXPECT_TRUE(failed_.empty());
}

TEST_F(ProducerAgain, EveryBatchStandsInTheLogOnceWhereverTheConnectionBreaks) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SimRandom random(seed);
    server_.on_produce = [&](std::uint64_t) { return random.below(4) == 0 ? Reply::close : Reply::answer; };
    const auto before = stored().size();
    produce(20);
    std::vector<int> now = stored();
    now.erase(now.begin(), now.begin() + static_cast<std::ptrdiff_t>(before));
    ASSERT_EQ(now, up_to(20)) << "seed " << seed;
    ASSERT_TRUE(failed_.empty()) << "seed " << seed << ": " << failed_.front().second.message;
  }
}

TEST_F(ProducerAgain, WhatAServerTurnsAwayWhileItStopsIsSentAgain) {
  reply({Reply::stop, Reply::stop});
  produce(3);
  EXPECT_EQ(stored(), up_to(3));
  EXPECT_TRUE(failed_.empty());
}

TEST_F(ProducerAgain, BehindARefusedBatchTheOthersFollowInTheNextEpoch) {
  reply({Reply::answer, Reply::refuse});
  produce(8);
  EXPECT_THAT(failures(), ElementsAre(std::pair(1, ErrorCode::disk_full)));
  EXPECT_THAT(stored(), ElementsAre(0, 2, 3, 4, 5, 6, 7));
  const BatchHeader last = decode_batch_header(view(server_.batches().back()).first<k_batch_header_size>());
  EXPECT_EQ(last.producer_epoch, 1);
  EXPECT_EQ(last.base_sequence, 5);
}

TEST_F(ProducerAgain, ANewProducerWhoseFirstBatchIsRefusedKeepsTheOrderOfTheOthers) {
  reply({Reply::refuse});
  produce(8);
  EXPECT_THAT(failures(), ElementsAre(std::pair(0, ErrorCode::disk_full)));
  EXPECT_THAT(stored(), ElementsAre(1, 2, 3, 4, 5, 6, 7));
}

// The one behind the refused one is in doubt: it keeps its numbers until that is settled.
TEST_F(ProducerAgain, ABatchInDoubtIsNeverStoredUnderTwoNames) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SimRandom random(seed);
    server_.on_produce = [&](std::uint64_t) {
      const std::uint64_t choice = random.below(8);
      return choice == 0 ? Reply::refuse : choice <= 2 ? Reply::close : Reply::answer;
    };
    const auto before = stored().size();
    delivered_.clear();
    failed_.clear();
    produce(20);
    std::vector<int> now = stored();
    now.erase(now.begin(), now.begin() + static_cast<std::ptrdiff_t>(before));
    ASSERT_TRUE(std::ranges::is_sorted(now)) << "seed " << seed;
    ASSERT_EQ(std::ranges::adjacent_find(now), now.end()) << "seed " << seed << ": twice";
    std::ranges::sort(delivered_);
    ASSERT_TRUE(std::ranges::includes(now, delivered_)) << "seed " << seed;
    for (const auto& [number, error] : failed_) {
      const bool is_there = std::ranges::binary_search(now, number);
      ASSERT_TRUE(!is_there || error.code == ErrorCode::connection_lost) << "seed " << seed << ": " << number;
    }
    ASSERT_EQ(delivered_.size() + failed_.size(), 20u);
  }
}

// The story at is_behind_doubt() in producer_again.cpp. P is 1, Q is 2.
TEST_F(ProducerAgain, AConnectionThatIsReadLateStoresNothingTwice) {
  server_.on_produce = [&](std::uint64_t request) {
    if (request == 1) server_.read_on();  // Q has come again
    return Reply::answer;
  };
  run([&](Client& client) -> Task<void> {
    Producer producer(client, {.batch_bytes = k_batch_bytes}, on_delivery());
    const auto topic = *co_await producer.open("events");
    EXPECT_TRUE(co_await append_and_flush(producer, topic, 0));
    server_.stop_reading();
    append(producer, topic, 1);
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    EXPECT_FALSE(co_await append_and_flush(producer, topic, 2));
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    EXPECT_TRUE(co_await append_and_flush(producer, topic, 3));
  });
  EXPECT_THAT(stored(), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(failures(),
              ElementsAre(std::pair(1, ErrorCode::timed_out), std::pair(2, ErrorCode::connection_lost)));
}

// The same, where P is still on its way when the server misses it: turned away first, and refused later.
TEST_F(ProducerAgain, ABatchBehindOneInDoubtIsInDoubtUntilThatOneIsSettled) {
  server_.on_produce = [&](std::uint64_t request) {
    if (request == 1) return Reply::stop;
    if (request == 3) return Reply::refuse;
    if (request == 4) server_.read_on();
    return Reply::answer;
  };
  run([&](Client& client) -> Task<void> {
    Producer producer(client, {.batch_bytes = k_batch_bytes, .timeout = std::chrono::minutes(2)},
                      on_delivery());
    const auto topic = *co_await producer.open("events");
    EXPECT_TRUE(co_await append_and_flush(producer, topic, 0));
    server_.stop_reading();
    Gate gate(client.reactor());
    gate.spawn([](Client& silent) -> Task<void> {
      EXPECT_FALSE(co_await silent.list_topics()) << "its end is the connection's";
    }(client));
    append(producer, topic, 1);
    EXPECT_FALSE(co_await append_and_flush(producer, topic, 2));
    co_await gate.wait();
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
  });
  EXPECT_THAT(stored(), ElementsAre(0, 1, 2));
  EXPECT_THAT(failures(), ElementsAre(std::pair(1, ErrorCode::connection_lost),
                                      std::pair(2, ErrorCode::connection_lost)));
}

TEST_F(ProducerAgain, WithoutAnAnswerInTimeTheOutcomeIsUnknownAndTheNextEpochBegins) {
  reply({Reply::silence});
  produce(2, {.batches_in_flight_max = 1, .timeout = std::chrono::seconds(1)});
  // The second one has waited for the first, and its own time is over as well.
  EXPECT_THAT(failures(),
              ElementsAre(std::pair(0, ErrorCode::timed_out), std::pair(1, ErrorCode::overloaded)));
  produce(1);
  EXPECT_THAT(stored(), ElementsAre(0, 0));
}

TEST_F(ProducerAgain, ABatchThatIsLostUntilItsTimeIsOverIsUnknown) {
  server_.on_produce = [](std::uint64_t) { return Reply::close; };
  produce(1, {.timeout = std::chrono::seconds(1)});
  EXPECT_THAT(failures(), ElementsAre(std::pair(0, ErrorCode::connection_lost)));
  EXPECT_THAT(failed_.front().second.message, HasSubstr("the outcome is unknown"));
  EXPECT_LT(server_.produces(), 40u) << "with growing pauses";
}

TEST_F(ProducerAgain, AForgottenProducerGoesOnInTheNextEpoch) {
  server_.on_produce = [&](std::uint64_t request) {
    if (request == 3) server_.forget_producers();
    return Reply::answer;
  };
  produce(8);
  EXPECT_EQ(stored(), up_to(8));
  EXPECT_TRUE(failed_.empty());
}

TEST_F(ProducerAgain, ABatchInDoubtOfAForgottenProducerIsReportedAsUnknown) {
  server_.on_produce = [&](std::uint64_t request) {
    if (request == 2) server_.forget_producers();
    return request == 1 ? Reply::close : Reply::answer;
  };
  produce(4, {.batches_in_flight_max = 1});
  EXPECT_THAT(failures(), ElementsAre(std::pair(1, ErrorCode::connection_lost)));
  EXPECT_THAT(failed_.front().second.message, HasSubstr("sent again, and then"));
  EXPECT_EQ(stored(), up_to(4));
}

TEST_F(ProducerAgain, AfterTheLastEpochAnotherIdIsAskedFor) {
  constexpr int k_epochs = 1 << 15;
  server_.on_produce = [](std::uint64_t request) {
    return request < k_epochs ? Reply::refuse : Reply::answer;
  };
  run([&](Client& client) -> Task<void> {
    Producer producer(client);
    const auto topic = *co_await producer.open("events");
    for (int i = 0; i < k_epochs; ++i) EXPECT_FALSE(co_await producer.send(topic, 0, record_of("refused")));
    EXPECT_EQ(server_.producers(), 1);
    EXPECT_TRUE(co_await producer.send(topic, 0, record_of("taken")));
    EXPECT_EQ(server_.producers(), 2);
  });
  const BatchHeader last = decode_batch_header(view(server_.batches().back()).first<k_batch_header_size>());
  EXPECT_EQ(last.producer_id, 1);
  EXPECT_EQ(last.producer_epoch, 0);
}

}  // namespace
}  // namespace millrace::test
