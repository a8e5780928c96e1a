#include "engine/log/journal_room.h"

#include <gtest/gtest.h>

#include "engine/log/journal_format.h"

namespace millrace::test {
namespace {

TEST(JournalRoom, ProducersGetHalfAJournalFile) {
  EXPECT_EQ(producers_max(64_MiB, 1), k_producers_max);
  EXPECT_EQ(producers_max(64_MiB, 1000), k_producers_max);
  for (const std::size_t groups : {3000u, 10'000u, 100'000u}) {
    const std::size_t most = producers_max(64_MiB, groups);
    EXPECT_LT(most, k_producers_max);
    EXPECT_LE(most * groups * k_producer_record_size_max, 32_MiB);
  }
  EXPECT_EQ(producers_max(1_MiB, 1'000'000), 1u);
}

TEST(JournalRoom, EntriesFindRoomInHalfOfTheRingHoweverManyGroupsAndProducersThereAre) {
  for (std::uint64_t size = k_journal_file_size_min; size <= k_journal_file_size_max; size += size / 2) {
    const std::size_t most = groups_max(size);
    for (std::size_t groups = 1; groups <= most; groups += 1 + groups / 10) {
      const std::uint64_t reserve = entries_reserve(groups, groups * producers_max(size, groups));
      ASSERT_LE(reserve + 2 * commit_size_max(size), k_journal_files / 2 * size)
          << groups << " groups, " << size;
    }
    EXPECT_EQ(producers_max(size, most), 1u);
  }
}

// Of the default size, and of a quarter of it, they hold what the node may have.
TEST(JournalRoom, ALargerJournalHoldsAllPartitionsOfANode) {
  EXPECT_GT(groups_max(k_journal_file_size_default), k_partitions_node_max);
  EXPECT_GT(groups_max(8_MiB), k_partitions_node_max);
}

}  // namespace
}  // namespace millrace::test
