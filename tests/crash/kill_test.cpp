// kill -9 at random moments, 100 times under load and some while the server starts and stops: every
// acknowledged record is there after the restart, same bytes, same offset, in order, none twice.
//
// One seed again: MILLRACE_SEED=17 ctest -R KilledServer.OfOneSeed
#include <cstdlib>
#include <gtest/gtest.h>

#include "tests/crash/kill_story.h"

namespace millrace::test {
namespace {

constexpr std::uint32_t k_kills = 25;

void live_through_kills(std::uint64_t seed, std::uint32_t kills) {
  KillStory story(seed);
  for (std::uint32_t i = 0; i < kills; ++i) {
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
}

class KilledServer : public testing::TestWithParam<std::uint64_t> {};

TEST_P(KilledServer, KeepsEveryAcknowledgedRecord) {
  live_through_kills(GetParam(), k_kills - 1);
}
INSTANTIATE_TEST_SUITE_P(Seeds, KilledServer, testing::Range<std::uint64_t>(1, 5));

TEST(KilledServerOfOneSeed, KeepsEveryAcknowledgedRecord) {
  const char* seed = std::getenv("MILLRACE_SEED");
  live_through_kills(seed != nullptr ? std::stoull(seed) : 0, 2);
}

}  // namespace
}  // namespace millrace::test
