#include "tests/crash/load.h"

#include <gtest/gtest.h>

namespace millrace::test {
namespace {

constexpr std::uint64_t k_names = 12;

}  // namespace

Load::Load(Client& client, Ledger& ledger, SimRandom& random, LoadMix mix)
    : client_(client),
      ledger_(ledger),
      random_(random),
      mix_(mix),
      producer_(client, mix_.producer, [this](const Delivery& delivery) { delivered(delivery); }),
      workers_(client.reactor()),
      changed_(client.reactor()) {}

Task<void> Load::run() {
  for (std::uint32_t i = 0; i < mix_.workers; ++i) workers_.spawn(work());
  co_await workers_.close();
  // Its error is one that delivered() has heard.
  static_cast<void>(co_await producer_.flush());
  EXPECT_TRUE(on_the_way_.empty());
}

Task<void> Load::work() {
  for (std::uint32_t i = 0; i < mix_.steps && !server_has_gone_ && !testing::Test::HasFailure(); ++i) {
    const auto done = co_await step();
    if (done) continue;
    EXPECT_TRUE(ledger_.explains(done.error().code)) << done.error().message;
    if (is_gone(done.error().code)) server_has_gone_ = true;
  }
}

LedgerTopic* Load::some_topic() {
  std::vector<LedgerTopic*> there;
  for (auto& [name, topic] : ledger_.topics()) {
    if (topic.existence == LedgerTopic::Existence::there) there.push_back(&topic);
  }
  return there.empty() ? nullptr : there[random_.below(there.size())];
}

Task<Result<void>> Load::step() {
  LedgerTopic* topic = some_topic();
  const bool wants_more = ledger_.topics().size() < mix_.topics;
  if (topic == nullptr || (wants_more && random_.below(8) == 0)) return create();
  LedgerPartition& partition = topic->partitions[random_.below(topic->partitions.size())];
  const std::uint64_t choice = random_.below(1000);
  if (choice < mix_.trims + mix_.looks && !partition.stored.empty()) {
    auto at = partition.stored.lower_bound(static_cast<std::int64_t>(
        random_.below(static_cast<std::uint64_t>(partition.stored.rbegin()->first) + 1)));
    const Offset offset{at->first};
    return choice < mix_.trims ? ledger_.trim(client_, *topic, partition, offset)
                               : ledger_.look(client_, *topic, partition, offset);
  }
  if (choice >= 1000 - mix_.removals) return ledger_.remove(client_, *topic);
  return produce(*topic, partition);
}

// A name that has been used waits for the next check: a batch on its way to a topic that is gone must not get
// into another one.
Task<Result<void>> Load::create() {
  const std::string name = fmt::format("topic-{}", random_.below(k_names));
  if (ledger_.topics().contains(name)) {
    co_await client_.reactor().yield();
    co_return Result<void>{};
  }
  TopicSpec spec{.name = name,
                 .partitions = static_cast<std::uint32_t>(random_.between(1, mix_.partitions_max)),
                 .segment_bytes = mix_.segment_bytes};
  if (random_.below(1000) < mix_.retained) {
    if (random_.coin()) {
      spec.retention_bytes = mix_.retention_bytes;
    } else {
      spec.retention_age = mix_.retention_age;
    }
  }
  co_return co_await ledger_.create(client_, std::move(spec));
}

// ---- records ----------------------------------------------------------------------

std::uint32_t Load::some_size() {
  const std::uint64_t kind = random_.below(mix_.small + mix_.medium + mix_.large);
  if (kind < mix_.small) return static_cast<std::uint32_t>(random_.between(Ledger::k_record_size_min, 1500));
  if (kind < mix_.small + mix_.medium) return static_cast<std::uint32_t>(random_.between(4000, 60'000));
  return static_cast<std::uint32_t>(random_.between(k_direct_size_min, mix_.large_size_max));
}

Task<Result<Load::Opened*>> Load::open(LedgerTopic& topic) {
  if (const auto known = opened_.find(&topic); known != opened_.end()) co_return &known->second;
  CO_TRY(const ProducerTopic producers, co_await producer_.open(topic.spec.name));
  Opened& opened = opened_[&topic];
  // Another worker may have opened it meanwhile.
  if (opened.first_ids.empty()) {
    opened.topic = producers;
    for (const LedgerPartition& partition : topic.partitions) opened.first_ids.push_back(partition.next_id);
  }
  co_return &opened;
}

Task<Result<void>> Load::append(Opened& opened, LedgerPartition& partition, std::uint32_t size) {
  const std::uint32_t number = partition.name.partition;
  for (;;) {
    const std::uint64_t id = partition.next_id;
    RecordView record;
    record.value = ledger_.value(partition, id, size);
    const auto appended = producer_.append(opened.topic, number, record);
    if (appended) {
      EXPECT_EQ(opened.first_ids[number] + *appended, id);
      Ledger::attempt(partition, size, client_.reactor().now());
      on_the_way_.emplace(&partition, id);
      co_return Result<void>{};
    }
    if (appended.error().code != ErrorCode::overloaded) co_return fail(appended.error());
    CO_TRY_VOID(co_await producer_.room());
    if (server_has_gone_) co_return Result<void>{};
  }
}

Task<Result<void>> Load::produce(LedgerTopic& topic, LedgerPartition& partition) {
  const auto opened = co_await open(topic);
  if (!opened) {
    if (opened.error().code == ErrorCode::unknown_topic && topic.existence != LedgerTopic::Existence::there) {
      co_return Result<void>{};
    }
    co_return fail(opened.error());
  }
  for (std::uint64_t left = random_.between(1, mix_.burst_max); left > 0; --left) {
    CO_TRY_VOID(co_await append(**opened, partition, some_size()));
  }
  const std::pair last(&partition, partition.next_id - 1);
  while (on_the_way_.contains(last)) co_await changed_.wait();
  co_return Result<void>{};
}

void Load::delivered(const Delivery& delivery) {
  LedgerTopic& topic = ledger_.topics().find(delivery.topic)->second;
  LedgerPartition& partition = topic.partitions[delivery.partition];
  const std::uint64_t first = opened_.at(&topic).first_ids[delivery.partition] + delivery.first;
  ledger_.delivered(topic, partition, first, delivery.count, delivery.result);
  for (std::uint32_t i = 0; i < delivery.count; ++i) on_the_way_.erase({&partition, first + i});
  changed_.wake_all();
  if (delivery.result) {
    if (on_acknowledged) on_acknowledged();
  } else if (is_gone(delivery.result.error().code)) {
    server_has_gone_ = true;
  }
}

}  // namespace millrace::test
