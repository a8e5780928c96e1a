// Ledger: what the clients of a server know must be in its topics, whatever happened to the server meanwhile.
//
//   Ledger ledger;
//   co_await ledger.create(client, {.name = "a", .partitions = 3});
//   const std::uint64_t id = ledger.attempt(partition, size);   // a record is on its way...
//   ledger.delivered(partition, id, 1, result);                 // ...and this became of it
//   ...                                                         // the server crashes and is started again
//   co_await ledger.check(client, CheckDepth::everything);      // reads everything and compares
//
// What is compared: a record that was acknowledged, or that a reader has seen, is at its offset with its
// bytes; every other record there is one whose outcome nobody knew, once; records stand in the order in which
// they were sent; a trim and a deletion that were acknowledged stay, one whose outcome nobody knew happened
// or did not. What a check has found then counts as known.
//
// Failures are those of GoogleTest. A verb gives an error only when the server has gone (is_gone()); what the
// verb wanted has then happened or not.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/record_reader.h"
#include "engine/base/time.h"
#include "engine/reactor/task.h"
#include "net/client/client.h"

namespace millrace::test {

// What a client hears when the server goes, or has gone.
[[nodiscard]] bool is_gone(ErrorCode code);

struct LedgerRecord {
  std::uint64_t id = 0;
  std::uint32_t size = 0;
  MonotonicTime sent;
};

struct LedgerPartition {
  PartitionName name;
  std::uint64_t number = 0;  // among all partitions there ever were
  std::uint64_t next_id = 1;
  std::map<std::int64_t, LedgerRecord> stored{};  // by offset: acknowledged, or seen by a reader
  std::map<std::uint64_t, LedgerRecord> open{};   // by id: sent, and the outcome is not known, or not yet
  std::int64_t start = 0;                         // of the log, at least
  std::int64_t start_asked = 0;                   // and at most
  std::int64_t checked = 0;                       // a check has read up to here
};

struct LedgerTopic {
  // asked: its creation was sent; removing: its deletion was.
  enum class Existence : std::uint8_t { asked, there, removing, gone };
  TopicSpec spec;
  Existence existence = Existence::asked;
  std::deque<LedgerPartition> partitions;
};

enum class CheckDepth : std::uint8_t {
  everything,
  what_is_new  // since the last check
};

class Ledger {
 public:
  static constexpr std::uint32_t k_record_size_min = 16;
  static constexpr std::uint32_t k_record_size_max = 512u << 10;

  // The errors that what happens to the server explains; all others fail the test.
  std::function<bool(ErrorCode)> explains = is_gone;

  // By name; those that are gone keep their name until the next check.
  [[nodiscard]] std::map<std::string, LedgerTopic, std::less<>>& topics() { return topics_; }
  // Records acknowledged so far.
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }

  // ---- verbs; each notes what it learns
  Task<Result<void>> create(Client& client, TopicSpec spec);
  Task<Result<void>> remove(Client& client, LedgerTopic& topic);
  Task<Result<void>> trim(Client& client, LedgerTopic& topic, LedgerPartition& partition, Offset before);
  // Reads some records, the first of them at `from`, which is a stored one.
  Task<Result<void>> look(Client& client, LedgerTopic& topic, LedgerPartition& partition, Offset from);

  // ---- records
  // The bytes of a record: its id, its partition's number, and noise that follows from both. The ids of a
  // partition are sent in ascending order. Valid until the next call.
  [[nodiscard]] std::span<const std::byte> value(const LedgerPartition& partition, std::uint64_t id,
                                                 std::uint32_t size);
  // The record of this size is being sent; its id.
  static std::uint64_t attempt(LedgerPartition& partition, std::uint32_t size, MonotonicTime now);
  // The fate of `count` records from `first` on that were sent as one batch.
  void delivered(LedgerTopic& topic, LedgerPartition& partition, std::uint64_t first, std::uint32_t count,
                 const Result<Produced>& result);

  // ---- comparing; nothing else is under way meanwhile
  Task<Result<void>> check(Client& client, CheckDepth depth);
  // For a test that knows that nothing is on its way and nothing of unknown outcome was taken: from here on,
  // records whose outcome is open must not be there.
  void forget_open();

 private:
  template <class T>
  bool expected(const Result<T>& result, std::string_view what, std::string_view of) const;
  void resolve_topics(const std::vector<TopicSpec>& listed);
  Task<Result<void>> check_topic(Client& client, const LedgerTopic& topic, LedgerPartition& partition,
                                 CheckDepth depth);
  Task<Result<void>> check_partition(Client& client, const TopicSpec& spec, LedgerPartition& partition,
                                     CheckDepth depth);
  // Reads [from, end), or one answer when there is no end; gives the offset behind what was read.
  Task<Result<Offset>> read(Client& client, LedgerPartition& partition, Offset from,
                            std::optional<Offset> end);
  // False: it should not be there, or not so, and the test has failed.
  bool seen(LedgerPartition& partition, const RecordView& record);
  bool store(LedgerPartition& partition, std::int64_t offset, LedgerRecord record);

  std::map<std::string, LedgerTopic, std::less<>> topics_;
  std::uint64_t partitions_ever_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::vector<std::byte> value_;
};

}  // namespace millrace::test
