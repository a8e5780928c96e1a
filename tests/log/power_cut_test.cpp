// Power cuts in simulation: whatever the seed lets survive, nothing acknowledged is lost and no reader's
// record goes away. And the proof that the story would find it: each sync of the log, left out, is found by
// some seed.
//
// One seed again: MILLRACE_SEED=17 ctest -R OneSeed.Keeps
#include <cstdlib>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <string>

#include "tests/log/log_story.h"
#include "tests/log/power_cut_story.h"

namespace millrace::test {
namespace {

constexpr std::uint64_t k_seeds_per_test = 50;
constexpr std::uint64_t k_tests = 10;
// A sync that is left out must be found by one of so many seeds.
constexpr std::uint64_t k_seeds_to_find = 300;

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
};

class SyncLeftOut : public testing::TestWithParam<LeftOut> {};

// Runs the story without letting its failures count.
bool finds_a_failure(std::uint64_t seed, const PowerCutOptions& options) {
  testing::TestPartResultArray results;
  {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &results);
    live_through_power_cuts(seed, options);
  }
  for (int i = 0; i < results.size(); ++i) {
    if (results.GetTestPartResult(i).failed()) return true;
  }
  return false;
}

TEST_P(SyncLeftOut, IsFound) {
  PowerCutOptions options;
  options.ignore_syncs = GetParam().sync;
  std::uint64_t seed = 1;
  while (seed <= k_seeds_to_find && !finds_a_failure(seed, options)) ++seed;
  EXPECT_LE(seed, k_seeds_to_find) << "nothing notices that this sync is missing";
  RecordProperty("seed", static_cast<int>(seed));
}

TEST(SendersThatDoNotSayWhoTheyAre, AreFoundToBeStoredTwice) {
  PowerCutOptions options;
  options.anonymous_senders = true;
  std::uint64_t seed = 1;
  while (seed <= k_seeds_to_find && !finds_a_failure(seed, options)) ++seed;
  EXPECT_LE(seed, k_seeds_to_find) << "nothing notices";
}

SimMatch writes_to(std::string part) {
  return on(Verb::write, std::move(part));
}

INSTANTIATE_TEST_SUITE_P(
    Log, SyncLeftOut,
    testing::Values(
        LeftOut{"JournalCommit", writes_to(".journal")},
        LeftOut{"SegmentExtent",
                [](const SimAccess& a) {
                  return a.verb == Verb::write && a.path.ends_with(".new") && a.position != 0;
                }},
        LeftOut{"SegmentHeader",
                [](const SimAccess& a) {
                  return a.verb == Verb::write && a.path.ends_with(".new") && a.position == 0;
                }},
        LeftOut{"GroupFolder", on(Verb::sync_folder, "groups/")},
        LeftOut{"GroupsFolder",
                [](const SimAccess& a) { return a.verb == Verb::sync_folder && a.path.ends_with("groups"); }},
        LeftOut{"JournalFolder", on(Verb::sync_folder, "journal")},
        LeftOut{"DataFolder",
                [](const SimAccess& a) { return a.verb == Verb::sync_folder && a.path == "data"; }},
        LeftOut{"Identity", [](const SimAccess& a) { return a.path.ends_with("identity"); }}),
    [](const testing::TestParamInfo<LeftOut>& info) { return info.param.name; });

}  // namespace
}  // namespace millrace::test
