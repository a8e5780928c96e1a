// What a group remembers of its producers: repetitions, gaps, epochs, sequences that wrap, and who is
// forgotten.
#include "engine/log/producers.h"

#include <gtest/gtest.h>

#include "engine/log/journal_format.h"

namespace millrace::test {
namespace {

constexpr std::int32_t k_sequence_last = 0x7fffffff;

// A table, and the log that it tells of: offsets follow by the number of records.
class Producers : public testing::Test {
 protected:
  // "appended", "duplicate of OFFSET", or the error's name.
  std::string send(const ProducerStamp& stamp, std::uint32_t records = 1) {
    const auto original = table.check(stamp, records);
    if (!original) return std::string(name(original.error().code));
    if (*original) return fmt::format("duplicate of {}", (*original)->value());
    table.note(stamp, records, end, most);
    end = end + records;
    return "appended";
  }
  // Ten records each, with the sequence numbers first, first + 10, ...
  void send_tens(std::int64_t id, std::int32_t first, int batches) {
    for (int i = 0; i < batches; ++i) EXPECT_EQ(send({id, 0, first + i * 10}, 10), "appended");
  }

  ProducerTable table;
  Offset end;
  std::size_t most = 4;
};

TEST_F(Producers, ARepetitionOfAnyOfTheLastFiveBatchesGetsItsFirstOffset) {
  send_tens(7, 0, 8);
  for (std::int32_t batch = 3; batch < 8; ++batch)
    EXPECT_EQ(send({7, 0, batch * 10}, 10), fmt::format("duplicate of {}", batch * 10));
  EXPECT_EQ(send({7, 0, 20}, 10), "out_of_order_sequence") << "older than all that is remembered";
  EXPECT_EQ(send({7, 0, 80}, 10), "appended");
}

TEST_F(Producers, ABatchOfOtherRecordsIsNoRepetition) {
  send_tens(7, 0, 2);
  EXPECT_EQ(send({7, 0, 10}, 5), "out_of_order_sequence");
  EXPECT_EQ(send({7, 0, 0}, 20), "out_of_order_sequence");
  EXPECT_EQ(send({7, 0, 15}, 5), "out_of_order_sequence");
}

TEST_F(Producers, AGapIsRefusedUntilItIsFilled) {
  send_tens(7, 0, 1);
  EXPECT_EQ(send({7, 0, 20}, 10), "out_of_order_sequence");
  EXPECT_EQ(send({7, 0, 10}, 10), "appended");
  EXPECT_EQ(send({7, 0, 20}, 10), "appended");
}

TEST_F(Producers, AnEarlierEpochIsFenced) {
  send_tens(7, 0, 2);
  EXPECT_EQ(send({7, 1, 20}), "out_of_order_sequence") << "an epoch begins with 0";
  EXPECT_EQ(send({7, 1, 0}), "appended");
  EXPECT_EQ(send({7, 0, 20}, 10), "producer_fenced");
  EXPECT_EQ(send({7, 0, 10}, 10), "producer_fenced") << "also a repetition";
  EXPECT_EQ(send({7, 1, 0}), "duplicate of 20");
  EXPECT_EQ(send({7, 3, 0}), "appended") << "epochs may be left out";
}

TEST_F(Producers, AnUnknownProducerBeginsWithSequenceZero) {
  EXPECT_EQ(send({7, 5, 10}), "unknown_producer");
  EXPECT_EQ(send({7, 5, 0}), "appended");
  EXPECT_EQ(send({8, 0, 1}), "unknown_producer");
}

TEST_F(Producers, SequencesGoAroundAfterTheLargest) {
  table.restore({.id = 7, .next_sequence = k_sequence_last - 5}, most);
  EXPECT_EQ(send({7, 0, k_sequence_last - 5}, 4), "appended");
  EXPECT_EQ(send({7, 0, k_sequence_last - 1}, 5), "appended") << "two before the turn, three after it";
  EXPECT_EQ(send({7, 0, k_sequence_last - 1}, 5), "duplicate of 4");
  EXPECT_EQ(send({7, 0, 4}), "out_of_order_sequence");
  EXPECT_EQ(send({7, 0, 3}), "appended");
  EXPECT_EQ(sequence_after(k_sequence_last, 1), 0);
  EXPECT_EQ(sequence_after(k_sequence_last - 1, 1), k_sequence_last);
}

TEST_F(Producers, TheOneWhoseLastBatchIsOldestIsForgottenForANewOne) {
  for (std::int64_t id = 1; id <= 4; ++id) EXPECT_EQ(send({id, 0, 0}), "appended");
  EXPECT_EQ(send({1, 0, 1}), "appended");
  EXPECT_EQ(send({5, 0, 0}), "appended");
  EXPECT_EQ(table.size(), 4u);
  EXPECT_EQ(send({2, 0, 1}), "unknown_producer");
  EXPECT_EQ(send({1, 0, 2}), "appended");
  EXPECT_EQ(send({2, 0, 0}), "appended") << "and 3 goes";
  EXPECT_EQ(send({3, 0, 1}), "unknown_producer");
}

TEST_F(Producers, ShrinkingKeepsTheLatest) {
  for (std::int64_t id = 1; id <= 4; ++id) EXPECT_EQ(send({id, 0, 0}), "appended");
  table.shrink(2);
  EXPECT_EQ(table.find(1), nullptr);
  EXPECT_EQ(table.find(2), nullptr);
  EXPECT_EQ(send({3, 0, 1}), "appended");
  EXPECT_EQ(send({4, 0, 1}), "appended");
}

TEST_F(Producers, WhatWasCutOffIsNotRemembered) {
  send_tens(7, 0, 3);
  table.cut(Offset{20});
  EXPECT_EQ(send({7, 0, 10}, 10), "duplicate of 10");
  EXPECT_EQ(send({7, 0, 30}, 10), "out_of_order_sequence");
  end = Offset{20};
  EXPECT_EQ(send({7, 0, 20}, 10), "appended") << "it is not there any more";
}

// Its first batch not acknowledged is then the next that is expected, although nothing else is known.
TEST_F(Producers, AProducerWhoseRememberedBatchesAreAllCutGoesOnWithTheFirstOfThem) {
  send_tens(7, 0, 8);
  table.cut(Offset{30});
  end = Offset{30};
  EXPECT_EQ(send({7, 0, 40}, 10), "out_of_order_sequence");
  EXPECT_EQ(send({7, 0, 30}, 10), "appended");
}

// A state is written down when the log is longer than a power cut leaves it; then the entries are read again.
TEST_F(Producers, AStateOfALongerLogComesToWhatTheLogHolds) {
  send_tens(7, 0, 3);
  ProducerTable again;
  again.restore(*table.find(7), most);
  again.note({7, 0, 10}, 10, Offset{10}, most);  // known: nothing changes
  again.cut(Offset{20});
  ProducerTable exact;
  exact.note({7, 0, 0}, 10, Offset{0}, most);
  exact.note({7, 0, 10}, 10, Offset{10}, most);
  EXPECT_EQ(*again.find(7), *exact.find(7));
}

TEST_F(Producers, AnOlderStateDoesNotReplaceANewerOne) {
  send_tens(7, 0, 1);
  const KnownProducer old = *table.find(7);
  send_tens(7, 10, 2);
  table.restore(old, most);
  EXPECT_EQ(table.find(7)->next_sequence, 30);
}

// The journal that is read again begins with the last batch; then comes the checkpoint's state, which ends
// with the same one.
TEST_F(Producers, AStateThatEndsWithABatchReadAgainBringsThoseBeforeIt) {
  send_tens(7, 0, 5);
  ProducerTable again;
  again.note({7, 0, 40}, 10, Offset{40}, most);
  again.restore(*table.find(7), most);
  EXPECT_EQ(*again.find(7), *table.find(7));
}

TEST_F(Producers, EachIsDescribedOnceAfterABatch) {
  const auto described = [&] {
    std::vector<std::int64_t> ids;
    table.describe_each([&](const KnownProducer& state) { ids.push_back(state.id); });
    return ids;
  };
  send_tens(7, 0, 2);
  send_tens(8, 0, 1);
  EXPECT_EQ(table.undescribed(), 2u);
  EXPECT_EQ(described(), (std::vector<std::int64_t>{7, 8}));
  EXPECT_EQ(described(), (std::vector<std::int64_t>{}));
  send_tens(8, 10, 1);
  EXPECT_EQ(described(), (std::vector<std::int64_t>{8}));
}

}  // namespace
}  // namespace millrace::test
