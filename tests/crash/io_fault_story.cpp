#include "tests/crash/io_fault_story.h"

#include <gtest/gtest.h>

#include "tests/crash/ledger.h"
#include "tests/crash/load.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

constexpr std::uint64_t k_seed = 8;

LoadMix the_load() {
  LoadMix mix;
  mix.small = 10;
  mix.medium = 6;
  mix.large = 3;
  mix.large_size_max = 120'000;
  mix.burst_max = 4;
  mix.trims = 60;
  mix.removals = 40;
  mix.looks = 150;
  mix.topics = 3;
  mix.partitions_max = 2;
  mix.segment_bytes = 128_KiB;
  mix.retained = 500;
  mix.retention_bytes = 256_KiB;
  mix.retention_age = std::chrono::milliseconds(30);
  mix.workers = 3;
  mix.steps = 12;
  mix.producer.buffered_bytes_max = 1_MiB;
  return mix;
}

bool is_named(ErrorCode code) {
  return is_gone(code) || code == ErrorCode::io_error || code == ErrorCode::disk_full ||
         code == ErrorCode::sync_failed || code == ErrorCode::permission_denied;
}

class IoFaultLife {
 public:
  IoFaultLife() : story_({.shards = 2, .seed = k_seed}) {
    ledger_.explains = is_named;
    story_.setup.log.cache_bytes = 128_KiB;
    story_.setup.log.retention_interval = std::chrono::milliseconds(5);
  }

  // Of what was lived; starts the server to see. A log begins beyond what trims asked for only by retention.
  [[nodiscard]] std::string missed() {
    bool trimmed = false, retained = false;
    begin();
    story_.run_script([&](Reactor& reactor, Address server) -> Task<void> {
      Client client(reactor, {.server = server});
      for (const auto& [name, topic] : ledger_.topics()) {
        for (const LedgerPartition& partition : topic.partitions) {
          const auto start = co_await client.list_offset(partition.name, OffsetQuery::earliest);
          trimmed |= partition.start_asked > 0;
          retained |= start && start->offset.value() > partition.start_asked;
        }
      }
    });
    stop();
    return missed_of({{"checkpoint", reached_["log_checkpoints"] != 0},
                      {"roll", reached_["log_segments_sealed"] != 0},
                      {"cold read", reached_["log_reads_cold"] != 0},
                      {"retention", retained},
                      {"trim", trimmed}});
  }

  [[nodiscard]] SimFaults& faults() { return story_.server().disk().faults(); }

  void live() {
    begin();
    work();
    stop();
    begin();
    work();
    story_.kill();
    begin();
    work();
    stop();
  }

  void expect_everything() {
    ledger_.explains = is_gone;
    begin();
    check();
    work();
    if (story_.server().running()) story_.server().power_cut(SimCut::drop_all);
    begin();
    check();
    story_.expect_clean_stop();
    begin();
    check();
    EXPECT_TRUE(story_.started()->clean);
    story_.expect_clean_stop();
  }

 private:
  // Clients can connect, or the server has said why it does not start.
  void begin() {
    story_.start();
    expect_named_end();
  }

  // The server may end by itself meanwhile.
  void work() {
    if (!story_.server().running()) return;
    story_.run_script([this](Reactor& reactor, Address server) -> Task<void> {
      Client client(reactor, {.server = server,
                              .connect_patience = Duration::zero(),
                              .request_timeout = std::chrono::minutes(10)});
      co_await Load(client, ledger_, story_.world().random(), the_load()).run();
      const auto status = co_await client.status();
      if (!status) co_return;  // the fault has ended it
      for (const auto& [name, value] : status->counters) reached_[name] += value;
    });
  }

  void stop() {
    if (story_.server().running()) static_cast<void>(story_.stop());
    expect_named_end();
  }

  void expect_named_end() {
    const auto& result = story_.result();
    if (!result || *result) return;
    EXPECT_TRUE(is_named(result->error().code) && !result->error().message.empty())
        << name(result->error().code) << ": " << result->error().message;
  }

  void check() {
    ASSERT_TRUE(story_.started()) << story_.why();
    story_.run_script([this](Reactor& reactor, Address server) -> Task<void> {
      Client client(reactor, {.server = server});
      const auto checked = co_await ledger_.check(client, CheckDepth::everything);
      EXPECT_TRUE(checked) << checked.error().message;
    });
  }

  ServerStory story_;
  Ledger ledger_;
  std::map<std::string, std::uint64_t> reached_;  // counters of all starts
};

}  // namespace

IoFaultBound count_server_operations(const IoFault& fault) {
  IoFaultLife life;
  life.live();
  IoFaultBound bound{fault.bound(life.faults()), life.faults().describe(), ""};
  bound.missed = life.missed();
  return bound;
}

std::uint64_t serve_with_fault(const IoFault& fault, std::uint64_t n) {
  IoFaultLife life;
  life.faults().fail(fault.at(n));
  life.live();
  const std::uint64_t hits = life.faults().hits();
  life.faults().clear();
  life.expect_everything();
  return hits;
}

}  // namespace millrace::test
