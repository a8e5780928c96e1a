// kill -9 at random moments, 100 times under load and some while the server starts and stops: every
// acknowledged record is there after the restart, same bytes, same offset, in order, none twice.
//
// One seed again, with as many kills: MILLRACE_SEED=17 ctest -R KilledServerOfOneSeed
#include <cstdlib>
#include <gtest/gtest.h>

#include "tests/crash/kill_story.h"

namespace millrace::test {
namespace {

constexpr std::uint32_t k_kills_of_a_seed = 25;
constexpr std::uint32_t k_kills_without_seed = 3;

// `kills` of them under load.
void live_through_kills(std::uint64_t seed, std::uint32_t kills) {
  KillStory story(seed);
  for (std::uint32_t i = 0; i + 1 < kills; ++i) {
    story.kill_under_load();
    if (i % 5 == 1) story.kill_while_starting();
    if (i % 5 == 3) story.kill_while_stopping();
    if (testing::Test::HasFatalFailure() || testing::Test::HasFailure()) {
      ADD_FAILURE() << "after " << i + 1 << " kills under load; again with MILLRACE_SEED=" << seed;
      return;
    }
  }
  story.kill_under_load();
  story.expect_everything();
  testing::Test::RecordProperty("acknowledged", std::to_string(story.ledger().acknowledged()));
  const KillStory::Met& met = story.met();
  EXPECT_EQ(met.working, kills);
  EXPECT_GT(met.starting, 0u) << "no kill has met a start";
  testing::Test::RecordProperty("kills_in_starts", std::to_string(met.starting));
  testing::Test::RecordProperty("kills_in_stops", std::to_string(met.stopping));
}

class KilledServer : public testing::TestWithParam<std::uint64_t> {};

TEST_P(KilledServer, KeepsEveryAcknowledgedRecord) {
  live_through_kills(GetParam(), k_kills_of_a_seed);
}
INSTANTIATE_TEST_SUITE_P(Seeds, KilledServer, testing::Range<std::uint64_t>(1, 5));

TEST(KilledServerOfOneSeed, KeepsEveryAcknowledgedRecord) {
  const char* seed = std::getenv("MILLRACE_SEED");
  if (seed != nullptr) {
    live_through_kills(std::stoull(seed), k_kills_of_a_seed);
  } else {
    live_through_kills(0, k_kills_without_seed);
  }
}

}  // namespace
}  // namespace millrace::test
