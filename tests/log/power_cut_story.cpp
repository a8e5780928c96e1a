#include "tests/log/power_cut_story.h"

#include "engine/reactor/wait.h"
#include "tests/log/log_story.h"

namespace millrace::test {
namespace {

constexpr std::uint64_t k_groups_max = 6;

// What the seed decides beside the disk: swarm testing, so that some lives have no large records, others no
// trims.
struct Life {
  explicit Life(SimRandom& random)
      : small(random.below(2) == 0 ? 10 : 40),
        medium(random.below(30)),
        large(random.below(30)),
        trims(random.below(6)),
        removals(random.below(3)),
        looks(random.below(4)),
        cuts(random.below(4)),
        workers(1 + random.below(8)) {}
  std::uint64_t small, medium, large, trims, removals, looks, cuts, workers;
};

std::uint32_t some_size(const Life& life, SimRandom& random) {
  const std::uint64_t kind = random.below(life.small + life.medium + life.large);
  if (kind < life.small) return static_cast<std::uint32_t>(8 + random.below(2000));
  if (kind < life.small + life.medium) return static_cast<std::uint32_t>(4000 + random.below(60'000));
  return static_cast<std::uint32_t>(64_KiB + random.below(200'000));
}

// Nothing else is done to it, and the story knows where it ends.
bool may_be_cut(const LogStory::Known& known) {
  return known.busy == 0 && !known.acknowledged.empty() && known.indexes.rbegin()->second >= known.trimmed_at;
}

Task<void> work(LogStory& story, LogStory::Logs& logs, const Life& life) {
  SimRandom& random = story.world().random();
  for (int i = 0; i < 200; ++i) {
    const GroupId group{1 + random.below(k_groups_max)};
    LogStory::Known& known = story.groups[group];
    if (known.removed || known.cut) continue;
    if (!known.may_exist) {
      (void)co_await story.create(logs, group);
      continue;
    }
    const std::uint64_t choice = random.below(100);
    if (choice < life.trims && !known.acknowledged.empty()) {
      auto somewhere = known.acknowledged.begin();
      std::advance(somewhere, static_cast<std::ptrdiff_t>(random.below(known.acknowledged.size())));
      (void)co_await story.trim(logs, group, Offset{somewhere->first});
    } else if (choice < life.trims + life.removals && random.below(10) == 0) {
      (void)co_await story.remove(logs, group);
    } else if (choice < life.trims + life.removals + life.looks) {
      co_await story.expect_group(logs, group);
    } else if (choice < life.trims + life.removals + life.looks + life.cuts && may_be_cut(known)) {
      auto last = std::prev(known.indexes.end());
      for (std::uint64_t back = random.below(8);
           back > 0 && last != known.indexes.begin() && last->second > known.trimmed_at; --back) {
        --last;
      }
      const std::uint64_t index = std::max(last->second, known.trimmed_at);
      (void)co_await story.truncate(logs, group, Index{index});
    } else {
      (void)co_await story.append(logs, group, some_size(life, random));
    }
  }
}

Task<void> live(LogStory& story, LogStory::Logs& logs, const Life& life) {
  co_await story.expect_groups(logs);
  Gate gate(logs.reactor);
  for (std::uint64_t i = 0; i < life.workers; ++i) gate.spawn(work(story, logs, life));
  co_await gate.close();
}

}  // namespace

void live_through_power_cuts(std::uint64_t seed, const PowerCutOptions& options) {
  LogStory story(seed);
  SimRandom& random = story.world().random();
  story.disk().faults().ignore_syncs = options.ignore_syncs;
  story.settings.segment_size = 64_KiB << random.below(4);
  story.log_options.cache_bytes = 256_KiB << random.below(4);
  story.settings.retention_bytes = 0;
  const Life life(random);
  for (std::uint32_t cut = 0; cut < options.cuts; ++cut) {
    story.node_options.shards = static_cast<std::uint32_t>(1 + random.below(3));
    const auto script = [&](LogStory::Logs& logs) { return live(story, logs, life); };
    // What a kill leaves in the cache, a later cut may take away.
    if (random.below(4) == 0) story.run_until_kill(script, 50 + random.below(1000));
    story.run_until_cut(script, 50 + random.below(3000), options.cut);
    if (testing::Test::HasFailure()) return;
  }
  story.disk().faults().ignore_syncs = nullptr;
  story.expect_everything();
  // A clean stop leaves nothing to decide.
  story.expect_everything();
  EXPECT_TRUE(story.found_clean());
}

}  // namespace millrace::test
