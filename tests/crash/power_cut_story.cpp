#include "tests/crash/power_cut_story.h"

#include <gtest/gtest.h>

#include "tests/crash/ledger.h"
#include "tests/crash/load.h"
#include "tests/net/server_story.h"
#include "tests/reactor/some_disk.h"

namespace millrace::test {
namespace {

// What the seed decides beside disk and network.
LoadMix some_load(SimRandom& random) {
  LoadMix mix;
  mix.small = random.between(10, 40);
  mix.medium = random.below(6);
  mix.large = random.below(6);
  mix.large_size_max = 150'000;
  mix.burst_max = static_cast<std::uint32_t>(random.between(1, 5));
  mix.trims = random.below(60);
  mix.removals = random.below(40);
  mix.looks = random.below(60);
  mix.topics = static_cast<std::uint32_t>(random.between(2, 6));
  mix.partitions_max = 3;
  mix.segment_bytes = 64_KiB << random.below(3);
  mix.retained = random.below(3) * 400;
  mix.retention_bytes = 256_KiB << random.below(3);
  mix.retention_age = std::chrono::milliseconds(random.between(20, 400));
  mix.workers = static_cast<std::uint32_t>(random.between(1, 5));
  mix.steps = 400;  // more than a cut leaves time for
  mix.producer.buffered_bytes_max = 1_MiB;
  return mix;
}

class PowerCutLife {
 public:
  PowerCutLife(std::uint64_t seed, const ServerPowerCutOptions& options)
      : story_({.seed = seed}),
        options_(options),
        random_(story_.world().random()),
        mix_(some_load(random_)) {
    story_.server().disk().faults().ignore_syncs = options.ignore_syncs;
    draw_disk(story_.server().disk().faults(), random_);
    story_.setup.log.cache_bytes = 256_KiB << random_.below(4);
    story_.setup.log.unplaced_bytes_max = 2_MiB;
    story_.setup.log.retention_interval = std::chrono::milliseconds(random_.between(2, 50));
  }

  void run() {
    begin();
    for (std::uint32_t cut = 0; cut < options_.cuts && !failed(); ++cut) live_until_cut();
    story_.server().disk().faults().ignore_syncs = nullptr;
    if (!finds_everything()) return;
    story_.expect_clean_stop();
    begin();
    if (!finds_everything()) return;
    EXPECT_TRUE(story_.started()->clean);
    story_.expect_clean_stop();
  }

  [[nodiscard]] ServerPowerCutLife lived() { return {story_.world().trace_hash(), ledger_.acknowledged()}; }

 private:
  static bool failed() { return testing::Test::HasFailure(); }

  void begin() {
    story_.options.shards = static_cast<std::uint32_t>(random_.between(1, 3));
    story_.begin();
  }

  // Clients compare what they find and go to work, until the server or they themselves have gone.
  Task<void> live(Reactor& reactor) {
    const Address server = story_.server().address(7420);
    {
      Client patient(reactor, {.server = server, .connect_patience = std::chrono::minutes(1)});
      if (!co_await ledger_.check(patient, CheckDepth::everything) || failed()) co_return;
    }
    Client client(reactor, {.server = server,
                            .connect_patience = Duration::zero(),
                            .request_timeout = std::chrono::minutes(10)});
    co_await Load(client, ledger_, random_, mix_).run();
  }

  void live_until_cut() {
    SimWorld& world = story_.world();
    story_.client().start(1, [this](Reactor& reactor) { return live(reactor); });
    const std::uint64_t until = world.event_count() + random_.between(100, 5000);
    const SimEnd end =
        world.run_until([&] { return world.event_count() >= until || !story_.client().running(); });
    EXPECT_EQ(end, SimEnd::reached) << world.waiting();
    crash();
    // Starts that do not get far, some of them never beyond recovery.
    while (random_.below(3) == 0) {
      const std::uint64_t again = world.event_count() + random_.below(400);
      static_cast<void>(world.run_until([&] { return world.event_count() >= again; }));
      crash();
    }
    EXPECT_EQ(world.run_until([&] { return !story_.client().running(); }), SimEnd::reached)
        << world.waiting();
  }

  // Mostly the power fails; a kill leaves the cache, and what a start makes of it a later cut takes away. The
  // machine comes back at once. A server that has ended by itself, because it found its folder damaged, does
  // so again; then the clients say that it is not there.
  void crash() {
    if (random_.below(4) == 0) {
      story_.kill();
    } else if (story_.server().running()) {
      story_.server().power_cut();
    }
    begin();
  }

  // False when the test has failed and there is no use in going on.
  bool finds_everything() {
    bool found = false;
    const bool ended = story_.run_script([&](Reactor& reactor, Address server) -> Task<void> {
      Client client(reactor, {.server = server, .connect_patience = std::chrono::minutes(1)});
      const auto checked = co_await ledger_.check(client, CheckDepth::everything);
      EXPECT_TRUE(checked) << checked.error().message << "\n" << why_ended();
      found = checked.has_value();
    });
    return ended && found && !failed();
  }

  [[nodiscard]] std::string why_ended() const {
    const auto& result = story_.result();
    return result && !*result ? result->error().message : "";
  }

  ServerStory story_;
  const ServerPowerCutOptions& options_;
  SimRandom& random_;
  LoadMix mix_;
  Ledger ledger_;
};

}  // namespace

ServerPowerCutLife live_through_server_power_cuts(std::uint64_t seed, const ServerPowerCutOptions& options) {
  PowerCutLife life(seed, options);
  life.run();
  return life.lived();
}

}  // namespace millrace::test
