// Power cuts in simulation: whatever the seed lets survive, nothing acknowledged is lost and no reader's
// record goes away. And the proof that the story would find it: each sync of the log, left out, is found by
// a seed that the test names (tests/reactor/named_seed.h says how to find another).
//
// One seed again: MILLRACE_SEED=17 ctest -R ^OneSeed
#include <cstdlib>
#include <gtest/gtest.h>
#include <string>

#include "tests/log/log_story.h"
#include "tests/log/power_cut_story.h"
#include "tests/reactor/named_seed.h"

namespace millrace::test {
namespace {

constexpr std::uint64_t k_seeds_per_test = 50;
constexpr std::uint64_t k_tests = 10;

class PowerCut : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PowerCut, KeepsWhatWasAcknowledged) {
  for (std::uint64_t seed = GetParam(); seed < GetParam() + k_seeds_per_test; ++seed) {
    live_through_power_cuts(seed);
    ASSERT_FALSE(HasFailure()) << "seed " << seed << "; again with MILLRACE_SEED=" << seed;
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, PowerCut,
                         testing::Range<std::uint64_t>(1, 1 + k_tests * k_seeds_per_test, k_seeds_per_test));

// A kill at every event of the first start: the names that it has made and not synced must not be what a
// later start stands on.
TEST(KilledStart, LeavesNoNamesThatALaterPowerCutTakesAway) {
  const auto work = [](LogStory& story, LogStory::Logs& logs) -> Task<void> {
    if (!logs.of(GroupId{1}).contains(GroupId{1})) {
      EXPECT_TRUE((co_await story.create(logs, GroupId{1})).has_value());
    }
    EXPECT_TRUE((co_await story.append(logs, GroupId{1}, 100)).has_value());
  };
  std::uint64_t events = 0;
  for (bool killed = true; killed; ++events) {
    LogStory story(1);
    story.node_options.folder = "srv/log/data";
    const auto script = [&](LogStory::Logs& logs) { return work(story, logs); };
    killed = story.run_until_kill(script, events);
    const auto lived = story.run(script, LogStory::End::abandoned);
    ASSERT_TRUE(lived.has_value()) << lived.error().message;
    story.let_writes_land();
    story.disk().power_cut(story.world().random(), SimCut::drop_all);
    story.expect_everything();
    ASSERT_FALSE(HasFailure()) << "after " << events << " events";
  }
  EXPECT_GT(events, 100U);
}

TEST(OneSeed, KeepsWhatWasAcknowledged) {
  const char* seed = std::getenv("MILLRACE_SEED");
  live_through_power_cuts(seed != nullptr ? std::stoull(seed) : 0);
}

struct LeftOut {
  const char* name;
  SimMatch sync;
  std::uint64_t seed;  // of a life that is spoilt without it
};

class SyncLeftOut : public testing::TestWithParam<LeftOut> {};

TEST_P(SyncLeftOut, IsFoundByItsSeed) {
  PowerCutOptions options;
  options.ignore_syncs = GetParam().sync;
  expect_noticed(GetParam().name, GetParam().seed,
                 [&](std::uint64_t seed) { live_through_power_cuts(seed, options); });
}

TEST(SendersThatDoNotSayWhoTheyAre, AreFoundToBeStoredTwice) {
  PowerCutOptions options;
  options.anonymous_senders = true;
  expect_noticed("records that are stored twice", 3,
                 [&](std::uint64_t seed) { live_through_power_cuts(seed, options); });
}

SimMatch writes_to(std::string part) {
  return on(Verb::write, std::move(part));
}

INSTANTIATE_TEST_SUITE_P(
    Log, SyncLeftOut,
    testing::Values(
        LeftOut{"JournalCommit", writes_to(".journal"), 1},
        LeftOut{"SegmentExtent",
                [](const SimAccess& a) {
                  return a.verb == Verb::write && a.path.ends_with(".new") && a.position != 0;
                },
                1},
        LeftOut{"SegmentHeader",
                [](const SimAccess& a) {
                  return a.verb == Verb::write && a.path.ends_with(".new") && a.position == 0;
                },
                1},
        LeftOut{"GroupFolder", on(Verb::sync_folder, "groups/"), 1},
        LeftOut{"GroupsFolder",
                [](const SimAccess& a) { return a.verb == Verb::sync_folder && a.path.ends_with("groups"); },
                1},
        LeftOut{"JournalFolder", on(Verb::sync_folder, "journal"), 1},
        LeftOut{"DataFolder",
                [](const SimAccess& a) { return a.verb == Verb::sync_folder && a.path == "data"; }, 1},
        LeftOut{"Identity", [](const SimAccess& a) { return a.path.ends_with("identity"); }, 2}),
    [](const testing::TestParamInfo<LeftOut>& info) { return info.param.name; });

}  // namespace
}  // namespace millrace::test
