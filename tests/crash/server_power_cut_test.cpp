// Power cuts of a whole server in simulation, clients at work on it: whatever the seed lets survive, nothing
// acknowledged is lost, changed, moved or there twice, and no deletion or trim is undone. And the proof that
// the story would find it: each sync that lies is found by a seed that the test names
// (tests/reactor/named_seed.h says how to find another).
//
// What no client can ask for is not in this story: that a suffix of a log is cut off, as replication will. It
// is in the logs' own, with power cuts (tests/log/power_cut_story.cpp) and with failing operations
// (tests/log/io_fault_story.cpp).
//
// One seed again: MILLRACE_SEED=17 ctest -R ServerPowerCutOfOneSeed
#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <string_view>

#include "tests/crash/power_cut_story.h"
#include "tests/reactor/named_seed.h"

namespace millrace::test {
namespace {

constexpr std::uint64_t k_seeds_per_test = 50;
constexpr std::uint64_t k_tests = 40;
// Records of a seed, on average.
constexpr std::uint64_t k_acknowledged_min = 100;

class ServerPowerCut : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ServerPowerCut, KeepsWhatWasAcknowledged) {
  std::uint64_t acknowledged = 0;
  for (std::uint64_t seed = GetParam(); seed < GetParam() + k_seeds_per_test; ++seed) {
    acknowledged += live_through_server_power_cuts(seed).acknowledged;
    ASSERT_FALSE(HasFailure()) << "seed " << seed << "; again with MILLRACE_SEED=" << seed;
  }
  EXPECT_GT(acknowledged, k_seeds_per_test * k_acknowledged_min) << "the clients have hardly worked";
}
INSTANTIATE_TEST_SUITE_P(Seeds, ServerPowerCut,
                         testing::Range<std::uint64_t>(1, 1 + k_tests * k_seeds_per_test, k_seeds_per_test));

TEST(ServerPowerCutOfOneSeed, KeepsWhatWasAcknowledged) {
  const char* seed = std::getenv("MILLRACE_SEED");
  live_through_server_power_cuts(seed != nullptr ? std::stoull(seed) : 0);
}

TEST(ServerPowerCutTrace, FollowsFromTheSeed) {
  const std::uint64_t first = live_through_server_power_cuts(1).trace_hash;
  EXPECT_EQ(live_through_server_power_cuts(1).trace_hash, first);
  const std::uint64_t second = live_through_server_power_cuts(2).trace_hash;
  EXPECT_EQ(live_through_server_power_cuts(2).trace_hash, second);
  EXPECT_NE(first, second);
}

struct Lie {
  const char* name;
  SimMatch sync;
  std::uint64_t seed;  // of a life that it spoils
};
// Writes to a segment that is new: at its begin, and behind.
bool is_of_new_segment(const SimAccess& access) {
  return access.verb == Verb::write && access.path.ends_with(".new") && access.path.contains("groups/");
}
const SimMatch k_header = [](const SimAccess& a) { return is_of_new_segment(a) && a.position == 0; };
const SimMatch k_extent = [](const SimAccess& a) { return is_of_new_segment(a) && a.position != 0; };

SimMatch on_folder(std::string_view name) {
  return [name](const SimAccess& a) { return a.verb == Verb::sync_folder && a.path.ends_with(name); };
}

class ServerPowerCutWithSyncsThatLie : public testing::TestWithParam<Lie> {};

TEST_P(ServerPowerCutWithSyncsThatLie, AreFoundByTheirSeed) {
  ServerPowerCutOptions options;
  options.ignore_syncs = GetParam().sync;
  expect_noticed(GetParam().name, GetParam().seed,
                 [&](std::uint64_t seed) { live_through_server_power_cuts(seed, options); });
}
INSTANTIATE_TEST_SUITE_P(Server, ServerPowerCutWithSyncsThatLie,
                         testing::Values(Lie{"OfJournals", on(Verb::write, ".journal"), 1},
                                         Lie{"OfExtents", k_extent, 1}, Lie{"OfSegmentHeaders", k_header, 1},
                                         Lie{"OfAGroupsFolder", on(Verb::sync_folder, "groups/"), 1},
                                         Lie{"OfTheGroupsFolder", on_folder("groups"), 1},
                                         Lie{"OfTheJournalsFolder", on_folder("journal"), 1},
                                         Lie{"OfTheDataFolder", on_folder("data"), 1},
                                         Lie{"OfTheIdentity", on_path("identity"), 1}),
                         [](const testing::TestParamInfo<Lie>& info) { return info.param.name; });

}  // namespace
}  // namespace millrace::test
