#include "tests/log/power_cut_story.h"

#include <memory>
#include <vector>

#include "engine/reactor/wait.h"
#include "tests/log/log_sender.h"
#include "tests/log/log_story.h"
#include "tests/reactor/some_disk.h"

namespace millrace::test {
namespace {

constexpr std::uint64_t k_groups_max = 6;
constexpr std::uint64_t k_senders_max = 4;

// Some lives have segments that are followed by empty ones, and some have logs whose beginning goes by
// itself.
void draw_ages(LogSettings& settings, SimRandom& random) {
  const auto some_age = [&] { return std::chrono::milliseconds(1 + random.below(10)); };
  if (random.below(3) == 0) settings.segment_age = some_age();
  if (random.below(3) == 0) settings.retention_age = some_age();
}

// What the seed decides beside the disk: swarm testing, so that some lives have no large records, others no
// trims.
struct Life {
  Life(SimRandom& random, const LogSettings& settings)
      : small(random.below(2) == 0 ? 10 : 40),
        medium(random.below(30)),
        large(random.below(30)),
        trims(random.below(6)),
        removals(random.below(3)),
        looks(random.below(4)),
        cuts(settings.retention_age.count() == 0 ? random.below(4) : 0),
        workers(1 + random.below(8)),
        senders(random.below(k_senders_max + 1)) {}
  std::uint64_t small, medium, large, trims, removals, looks, cuts, workers, senders;
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

// Idempotent producers, in groups of their own, two of them in each.
using Senders = std::vector<std::unique_ptr<LogSender>>;

Senders make_senders(LogStory& story, const Life& life, bool anonymous) {
  Senders senders;
  for (std::uint64_t i = 0; i < life.senders; ++i) {
    senders.push_back(std::make_unique<LogSender>(story, i + 1, GroupId{k_groups_max + 1 + i / 2}));
    senders.back()->anonymous = anonymous;
  }
  return senders;
}

Task<void> keep_sending(LogStory& story, LogStory::Logs& logs, const Life& life, LogSender& sender) {
  SimRandom& random = story.world().random();
  co_await sender.send_again(logs);
  for (int i = 0; i < 25 && !sender.ended(); ++i) {
    std::vector<std::uint32_t> sizes(1 + random.below(k_producer_batches_kept));
    for (std::uint32_t& size : sizes) size = some_size(life, random);
    co_await sender.send(logs, std::move(sizes));
  }
}

// Groups that a cut has left unmade, or made without telling.
Task<void> make_groups(LogStory& story, LogStory::Logs& logs, const Senders& senders) {
  for (const auto& sender : senders) {
    LogStory::Known& known = story.groups[sender->group()];
    if (known.created) continue;
    const auto created = co_await story.create(logs, sender->group());
    known.created = created || created.error().code == ErrorCode::already_exists;
  }
}

Task<void> live(LogStory& story, LogStory::Logs& logs, const Life& life, const Senders& senders) {
  co_await story.expect_groups(logs);
  co_await make_groups(story, logs, senders);
  Gate gate(logs.reactor);
  for (const auto& sender : senders) {
    // A sync that fails may have kept its group from being made.
    if (story.groups[sender->group()].created) gate.spawn(keep_sending(story, logs, life, *sender));
  }
  for (std::uint64_t i = 0; i < life.workers; ++i) gate.spawn(work(story, logs, life));
  co_await gate.close();
}

Task<void> settle(LogStory& story, LogStory::Logs& logs, const Senders& senders) {
  co_await make_groups(story, logs, senders);
  for (const auto& sender : senders) co_await sender->send_again(logs);
  co_await story.expect_groups(logs);
}

}  // namespace

namespace {

// Where files are buffered, it forgets its pages.
SimFaults::Rule a_failed_sync(SimRandom& random) {
  return {.matches =
              [](const SimAccess& access) { return access.verb == Verb::sync || access.sync == Sync::data; },
          .kind = SimFaults::Kind::fail_and_forget,
          .skip = random.below(200)};
}

}  // namespace

void live_through_power_cuts(std::uint64_t seed, const PowerCutOptions& options) {
  LogStory story(seed);
  SimRandom& random = story.world().random();
  story.disk().faults().ignore_syncs = options.ignore_syncs;
  draw_disk(story.disk().faults(), random);
  story.settings.segment_size = 64_KiB << random.below(4);
  story.log_options.cache_bytes = 256_KiB << random.below(4);
  draw_ages(story.settings, random);
  const Life life(random, story.settings);
  const Senders senders = make_senders(story, life, options.anonymous_senders);
  for (std::uint32_t cut = 0; cut < options.cuts; ++cut) {
    story.node_options.shards = static_cast<std::uint32_t>(1 + random.below(3));
    const auto script = [&](LogStory::Logs& logs) { return live(story, logs, life, senders); };
    // What a kill leaves in the cache, a later cut may take away; and so what a failed sync leaves there.
    if (random.below(4) == 0) {
      SimFaults& faults = story.disk().faults();
      const SimFaults before = faults;
      if (random.coin()) faults.fail(a_failed_sync(random));
      story.run_until_kill(script, 50 + random.below(1000));
      faults = before;
    }
    story.run_until_cut(script, 50 + random.below(3000), options.cut);
    if (testing::Test::HasFailure()) return;
  }
  story.disk().faults().ignore_syncs = nullptr;
  const auto settled = story.run([&](LogStory::Logs& logs) { return settle(story, logs, senders); });
  EXPECT_TRUE(settled.has_value()) << settled.error().message;
  // A clean stop leaves nothing to decide.
  story.expect_everything();
  EXPECT_TRUE(story.found_clean());
}

}  // namespace millrace::test
