// Load: clients at work on a server, all at once, until they have done enough or the server goes. Every
// choice comes from one generator, every outcome goes into a Ledger.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "engine/reactor/sim_random.h"
#include "engine/reactor/wait.h"
#include "net/client/producer.h"
#include "tests/crash/ledger.h"

namespace millrace::test {

// What the workers do. One seed has no large records, the next one no trims: a mix is drawn, too.
struct LoadMix {
  std::uint64_t small = 1, medium = 0, large = 0;  // how often, relative to each other
  std::uint32_t large_size_max = 300'000;
  std::uint32_t burst_max = 8;                       // records that a worker sends at a time
  std::uint64_t trims = 0, removals = 0, looks = 0;  // steps of a thousand
  std::uint32_t topics = 3, partitions_max = 4;
  std::uint64_t segment_bytes = 0;
  std::uint64_t retained = 0;         // topics of a thousand that have the one or the other
  std::uint64_t retention_bytes = 0;  // of these
  Duration retention_age{0};
  std::uint32_t workers = 4, steps = 100;  // steps of each worker
  ProducerOptions producer;
};

class Load {
 public:
  Load(Client& client, Ledger& ledger, SimRandom& random, LoadMix mix);

  // Called when a batch was acknowledged.
  std::function<void()> on_acknowledged;

  // Returns when every worker has ended and every record has met its fate.
  Task<void> run();

 private:
  struct Opened {
    ProducerTopic topic;
    std::vector<std::uint64_t> first_ids;  // by partition: the id of the producer's first record
  };

  Task<void> work();
  Task<Result<void>> step();
  Task<Result<void>> create();
  Task<Result<void>> produce(LedgerTopic& topic, LedgerPartition& partition);
  Task<Result<Opened*>> open(LedgerTopic& topic);
  Task<Result<void>> append(Opened& opened, LedgerPartition& partition, std::uint32_t size);
  void delivered(const Delivery& delivery);
  [[nodiscard]] LedgerTopic* some_topic();
  [[nodiscard]] std::uint32_t some_size();

  Client& client_;
  Ledger& ledger_;
  SimRandom& random_;
  LoadMix mix_;
  Producer producer_;
  Gate workers_;
  WaitQueue changed_;
  std::map<LedgerTopic*, Opened> opened_;
  std::set<std::pair<LedgerPartition*, std::uint64_t>> on_the_way_;  // ids
  bool server_has_gone_ = false;
};

}  // namespace millrace::test
