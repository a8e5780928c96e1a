#include "tests/log/io_fault_story.h"

#include <algorithm>
#include <array>

#include "engine/reactor/wait.h"
#include "tests/log/log_story.h"

namespace millrace::test {
namespace {

constexpr std::uint64_t k_seed = 1;
constexpr Duration k_rest = std::chrono::milliseconds(12);  // some rounds of retention
constexpr GroupId k_busy{1}, k_plain{2}, k_cut{3}, k_short_lived{4};

class Life {
 public:
  Life() : story_(k_seed) {
    story_.node_options.ballast_size = story_.log_options.ballast_size = 128_KiB;
    story_.log_options.cache_bytes = 128_KiB;
    story_.settings.segment_size = 256_KiB;
  }

  LogStory& story() { return story_; }

  // Nobody has trimmed the group that is retained, so what it has lost went by retention.
  [[nodiscard]] std::string missed() {
    return missed_of({{"checkpoint", reached_.checkpoints != 0},
                      {"roll", reached_.segments_sealed != 0},
                      {"cold read", reached_.reads_cold != 0},
                      {"retention", retained_},
                      {"trim", story_.groups[k_plain].start > 0},
                      {"truncation", truncations_ != 0}});
  }

  // The life that the faults are for: three starts, two stops.
  void live() {
    note(story_.run([this](LogStory::Logs& logs) { return first(logs); }));
    note(story_.run([this](LogStory::Logs& logs) { return later(logs); }, LogStory::End::abandoned));
    story_.let_writes_land();
    note(story_.run([this](LogStory::Logs& logs) { return later(logs); }));
  }

  // And what follows on a healthy disk.
  void expect_everything() {
    go_on(LogStory::End::abandoned);
    story_.let_writes_land();
    story_.disk().power_cut(story_.world().random(), SimCut::drop_all);
    go_on(LogStory::End::clean);
    story_.expect_everything();
    EXPECT_TRUE(story_.found_clean());
  }

 private:
  // A fault may refuse anything, by the name of what is wrong; but it does no damage.
  template <class T>
  bool note(const Result<T>& result) {
    if (result) return true;
    constexpr std::array k_named = {ErrorCode::io_error, ErrorCode::disk_full, ErrorCode::sync_failed,
                                    ErrorCode::permission_denied};
    const bool is_named = std::ranges::find(k_named, result.error().code) != k_named.end();
    EXPECT_TRUE(is_named && !result.error().message.empty())
        << name(result.error().code) << ": " << result.error().message;
    return false;
  }

  [[nodiscard]] static bool is_there(const LogStory::Logs& logs, GroupId group) {
    return logs.of(group).contains(group);
  }

  Task<void> append(LogStory::Logs& logs, GroupId group, std::uint32_t size) {
    const LogStory::Known& known = story_.groups[group];
    if (is_there(logs, group) && !known.cut) note(co_await story_.append(logs, group, size));
  }

  Task<void> append_side_by_side(LogStory::Logs& logs, GroupId group, std::uint32_t size) {
    Gate gate(logs.reactor);
    for (int i = 0; i < 4; ++i) gate.spawn(append(logs, group, size));
    co_await gate.close();
  }

  Task<void> look(LogStory::Logs& logs) {
    for (const GroupId group : {k_busy, k_plain, k_cut, k_short_lived}) {
      note(co_await story_.look(logs, group));
    }
  }

  // What is not there: a start that failed has made none, or one was refused.
  Task<void> create(LogStory::Logs& logs, GroupId group) {
    story_.settings.retention_bytes = group == k_busy ? 512_KiB : 0;
    if (!is_there(logs, group)) note(co_await story_.create(logs, group));
  }

  Task<void> create_all(LogStory::Logs& logs) {
    for (const GroupId group : {k_busy, k_plain, k_cut}) co_await create(logs, group);
  }

  Task<void> trim(LogStory::Logs& logs, GroupId group) {
    const LogStory::Known& known = story_.groups[group];
    if (!is_there(logs, group) || known.cut || known.acknowledged.empty()) co_return;
    auto at = known.acknowledged.lower_bound(known.start);
    for (int i = 0; i < 3 && std::next(at) != known.acknowledged.end(); ++i) ++at;
    note(co_await story_.trim(logs, group, Offset{at->first}));
  }

  Task<void> cut(LogStory::Logs& logs, GroupId group) {
    const LogStory::Known& known = story_.groups[group];
    if (!is_there(logs, group) || known.cut || known.acknowledged.size() < 6) co_return;
    const auto last = std::prev(known.acknowledged.end(), 5)->first;
    if (note(co_await story_.truncate(logs, group, Index{known.indexes.at(last)}))) ++truncations_;
  }

  Task<void> remove(LogStory::Logs& logs, GroupId group) {
    if (is_there(logs, group)) note(co_await story_.remove(logs, group));
  }

  Task<void> first(LogStory::Logs& logs) {
    co_await create_all(logs);
    co_await create(logs, k_short_lived);
    for (int i = 0; i < 14; ++i) {
      co_await append(logs, k_busy, 60'000);
      co_await append(logs, k_plain, i % 5 == 0 ? 100'000 : 100);
      co_await append(logs, k_cut, i % 4 == 0 ? 70'000 : 20'000);
      if (i == 4) co_await append_side_by_side(logs, k_short_lived, 30'000);
      if (i == 8) co_await append_side_by_side(logs, k_plain, 5'000);
    }
    co_await logs.reactor.sleep(k_rest);
    co_await trim(logs, k_plain);
    co_await cut(logs, k_cut);
    co_await remove(logs, k_short_lived);
    for (int i = 0; i < 14; ++i) {
      co_await append(logs, k_busy, 60'000);
      co_await append(logs, k_cut, i % 4 == 0 ? 70'000 : 20'000);
    }
    co_await logs.reactor.sleep(k_rest);
    co_await look(logs);
    note_reached(logs);
  }

  Task<void> later(LogStory::Logs& logs) {
    co_await look(logs);
    co_await create_all(logs);
    for (int i = 0; i < 3; ++i) {
      co_await append(logs, k_busy, 60'000);
      co_await append(logs, k_plain, i == 1 ? 100'000 : 100);
      co_await append(logs, k_cut, 30'000);
    }
    co_await logs.reactor.sleep(k_rest);
    co_await cut(logs, k_cut);
    co_await append(logs, k_cut, 1'000);
    note_reached(logs);
  }

  void note_reached(const LogStory::Logs& logs) {
    for (const auto& log : logs.shards) {
      reached_.checkpoints += log->counters().checkpoints;
      reached_.segments_sealed += log->counters().segments_sealed;
      reached_.reads_cold += log->counters().reads_cold;
    }
    const auto busy = logs.of(k_busy).view(k_busy);
    retained_ |= busy && busy->start.offset > Offset{0};
  }

  void go_on(LogStory::End end) {
    const auto gone_on = story_.run(
        [this](LogStory::Logs& logs) -> Task<void> {
          co_await story_.expect_groups(logs);
          for (const GroupId group : {k_busy, k_plain, k_cut}) {
            story_.settings.retention_bytes = group == k_busy ? 512_KiB : 0;
            if (!is_there(logs, group)) expect(co_await story_.create(logs, group));
            for (const std::uint32_t size : {100u, 70'000u}) {
              expect(co_await story_.append(logs, group, size));
            }
          }
          co_await story_.expect_groups(logs);
        },
        end);
    expect(gone_on);
  }

  template <class T>
  static void expect(const Result<T>& result) {
    EXPECT_TRUE(result) << result.error().message;
  }

  LogStory story_;
  LogCounters reached_;  // of all starts
  bool retained_ = false;
  std::uint64_t truncations_ = 0;
};

}  // namespace

IoFaultBound count_operations(const IoFault& fault) {
  Life life;
  life.live();
  const SimFaults& faults = life.story().disk().faults();
  return {fault.bound(faults), faults.describe(), life.missed()};
}

std::uint64_t live_with_fault(const IoFault& fault, std::uint64_t n) {
  Life life;
  SimFaults& faults = life.story().disk().faults();
  faults.fail(fault.at(n));
  life.live();
  const std::uint64_t hits = faults.hits();
  faults.clear();
  life.expect_everything();
  return hits;
}

}  // namespace millrace::test
