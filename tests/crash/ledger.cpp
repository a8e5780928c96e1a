#include "tests/crash/ledger.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

#include "engine/base/endian.h"
#include "engine/reactor/sim_random.h"
#include "net/client/entry_decoder.h"

namespace millrace::test {
namespace {

constexpr std::uint32_t k_noise_starts = 64u << 10;

// Noise to cut record values from.
const std::vector<std::byte>& noise() {
  static const std::vector<std::byte> bytes = [] {
    std::vector<std::byte> made(k_noise_starts + Ledger::k_record_size_max);
    SimRandom random(1);
    for (std::byte& byte : made) byte = static_cast<std::byte>(random.next());
    return made;
  }();
  return bytes;
}

std::span<const std::byte> noise_of(const LedgerPartition& partition, std::uint64_t id, std::uint32_t size) {
  const std::uint64_t start = (partition.number * 7919 + id * 31) % k_noise_starts;
  return std::span(noise()).subspan(start, size - Ledger::k_record_size_min);
}

bool is_retained(const TopicSpec& spec) {
  return spec.retention_bytes != 0 || spec.retention_age.count() != 0;
}

// Where the log may begin at the latest, for all that retention has done: with the first record that must
// stay. Generously: padding, headers and internal entries take space, too, and what is not known to be there
// may be.
std::int64_t retention_start(const TopicSpec& spec, const LedgerPartition& partition, MonotonicTime now) {
  if (!is_retained(spec)) return 0;
  const auto cost = [](const LedgerRecord& record) { return 2 * std::uint64_t{record.size} + 32_KiB; };
  std::uint64_t bytes = 0;
  for (const auto& [id, record] : partition.open) bytes += cost(record);
  std::int64_t start = std::numeric_limits<std::int64_t>::max();
  for (auto at = partition.stored.rbegin(); at != partition.stored.rend(); ++at) {
    bytes += cost(at->second);
    const bool too_much = spec.retention_bytes != 0 && bytes > spec.retention_bytes;
    const bool too_old = spec.retention_age.count() != 0 && now - at->second.sent > spec.retention_age;
    if (too_much || too_old) break;
    start = at->first;
  }
  return start;
}

}  // namespace

bool is_gone(ErrorCode code) {
  return code == ErrorCode::connection_lost || code == ErrorCode::timed_out ||
         code == ErrorCode::unavailable || code == ErrorCode::shutting_down;
}

// Passes a result on; an error that nothing explains fails the test.
template <class T>
bool Ledger::expected(const Result<T>& result, std::string_view what, std::string_view of) const {
  EXPECT_TRUE(result || explains(result.error().code))
      << what << " " << of << ": " << name(result.error().code) << ": " << result.error().message;
  return result.has_value();
}

// ---- topics -----------------------------------------------------------------------

Task<Result<void>> Ledger::create(Client& client, TopicSpec spec) {
  LedgerTopic& topic = topics_[spec.name];
  topic.spec = spec;
  for (std::uint32_t i = 0; i < spec.partitions; ++i) {
    topic.partitions.push_back({.name = {spec.name, i}, .number = partitions_ever_++});
  }
  const auto created = co_await client.create_topic(std::move(spec));
  if (!expected(created, "creating", topic.spec.name)) co_return fail(created.error());
  topic.existence = LedgerTopic::Existence::there;
  co_return Result<void>{};
}

Task<Result<void>> Ledger::remove(Client& client, LedgerTopic& topic) {
  topic.existence = LedgerTopic::Existence::removing;
  auto removed = co_await client.delete_topic(topic.spec.name);
  if (expected(removed, "deleting", topic.spec.name)) topic.existence = LedgerTopic::Existence::gone;
  co_return removed;
}

Task<Result<void>> Ledger::trim(Client& client, LedgerTopic& topic, LedgerPartition& partition,
                                Offset before) {
  partition.start_asked = std::max(partition.start_asked, before.value());
  const auto trimmed = co_await client.trim(partition.name, before);
  if (!trimmed && trimmed.error().code == ErrorCode::unknown_topic &&
      topic.existence != LedgerTopic::Existence::there) {
    co_return Result<void>{};
  }
  if (!expected(trimmed, "trimming", to_string(partition.name))) co_return fail(trimmed.error());
  const std::int64_t retained = retention_start(topic.spec, partition, client.reactor().now());
  EXPECT_LE(trimmed->value(), std::max(partition.start_asked, retained))
      << "a trim took more than it was asked for";
  partition.start = std::max(partition.start, trimmed->value());
  co_return Result<void>{};
}

void Ledger::resolve_topics(const std::vector<TopicSpec>& listed) {
  using enum LedgerTopic::Existence;
  for (const TopicSpec& spec : listed)
    EXPECT_TRUE(topics_.contains(spec.name)) << "nobody made " << spec.name;
  for (auto each = topics_.begin(); each != topics_.end();) {
    LedgerTopic& topic = each->second;
    const auto found = std::ranges::find(listed, each->first, &TopicSpec::name);
    if (found == listed.end()) {
      EXPECT_NE(topic.existence, there) << "topic " << each->first << " is gone";
      each = topics_.erase(each);
      continue;
    }
    EXPECT_NE(topic.existence, gone) << "topic " << each->first << " is back";
    EXPECT_EQ(found->partitions, topic.spec.partitions) << each->first;
    EXPECT_EQ(found->segment_bytes, topic.spec.segment_bytes) << each->first;
    EXPECT_EQ(found->retention_bytes, topic.spec.retention_bytes) << each->first;
    EXPECT_EQ(found->retention_age, topic.spec.retention_age) << each->first;
    topic.existence = there;
    ++each;
  }
}

// ---- records ----------------------------------------------------------------------

std::span<const std::byte> Ledger::value(const LedgerPartition& partition, std::uint64_t id,
                                         std::uint32_t size) {
  value_.resize(size);
  store_le<std::uint64_t>(value_.data(), id);
  store_le<std::uint64_t>(value_.data() + 8, partition.number);
  std::ranges::copy(noise_of(partition, id, size), value_.begin() + k_record_size_min);
  return value_;
}

std::uint64_t Ledger::attempt(LedgerPartition& partition, std::uint32_t size, MonotonicTime now) {
  const std::uint64_t id = partition.next_id++;
  partition.open.emplace(id, LedgerRecord{id, size, now});
  return id;
}

bool Ledger::store(LedgerPartition& partition, std::int64_t offset, LedgerRecord record) {
  const auto sent = partition.open.find(record.id);
  if (sent != partition.open.end()) record.sent = sent->second.sent;
  const auto [at, fresh] = partition.stored.emplace(offset, record);
  const auto describe = [&](const char* what) {
    ADD_FAILURE() << to_string(partition.name) << " offset " << offset << ": record " << record.id << " "
                  << what;
    return false;
  };
  if (!fresh) return at->second.id == record.id || describe("in the place of another one");
  if (partition.open.erase(record.id) == 0) {
    partition.stored.erase(at);
    return describe("is there twice, was refused, was gone before or was never sent");
  }
  const bool follows = at == partition.stored.begin() || std::prev(at)->second.id < record.id;
  const bool precedes = std::next(at) == partition.stored.end() || std::next(at)->second.id > record.id;
  return (follows && precedes) || describe("is not in the order of sending");
}

void Ledger::delivered(LedgerTopic& topic, LedgerPartition& partition, std::uint64_t first,
                       std::uint32_t count, const Result<Produced>& result) {
  if (result) {
    EXPECT_EQ(result->reached, Acks::durable);
    acknowledged_ += count;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto open = partition.open.find(first + i);
      const std::uint32_t size = open == partition.open.end() ? 0 : open->second.size;
      if (!store(partition, result->base_offset.value() + i, {.id = first + i, .size = size, .sent = {}}))
        return;
    }
    return;
  }
  const ErrorCode code = result.error().code;
  const bool removed = code == ErrorCode::unknown_topic && topic.existence != LedgerTopic::Existence::there;
  if (!removed) expected(result, "producing to", to_string(partition.name));
  if (code == ErrorCode::connection_lost || code == ErrorCode::timed_out || code == ErrorCode::sync_failed)
    return;
  for (std::uint32_t i = 0; i < count; ++i) {
    EXPECT_EQ(partition.open.erase(first + i), 1u)
        << to_string(partition.name) << ": record " << first + i << " was refused, but a reader has seen it";
  }
}

bool Ledger::seen(LedgerPartition& partition, const RecordView& record) {
  const std::int64_t offset = record.offset.value();
  const auto wrong = [&](const char* what) {
    ADD_FAILURE() << to_string(partition.name) << " offset " << offset << ": " << what;
    return false;
  };
  if (!record.value || record.value->size() < k_record_size_min) return wrong("a record that nobody sent");
  const auto size = static_cast<std::uint32_t>(record.value->size());
  const auto id = load_le<std::uint64_t>(record.value->data());
  if (load_le<std::uint64_t>(record.value->data() + 8) != partition.number)
    return wrong("a record of another partition");
  if (!std::ranges::equal(record.value->subspan(k_record_size_min), noise_of(partition, id, size)))
    return wrong("not the bytes that were sent");
  const auto known = partition.stored.find(offset);
  const auto open = partition.open.find(id);
  if (known != partition.stored.end() ? known->second.size != size
                                      : open != partition.open.end() && open->second.size != size) {
    return wrong("not as long as what was sent");
  }
  return store(partition, offset, {.id = id, .size = size, .sent = {}});
}

Task<Result<Offset>> Ledger::read(Client& client, LedgerPartition& partition, Offset from,
                                  std::optional<Offset> end) {
  Offset at = from;
  do {
    CO_TRY(Fetched fetched, co_await client.fetch(partition.name, at));
    Inflater inflater;
    EntryDecoder decoder(inflater);
    decoder.feed(std::move(fetched.entries));
    const Offset before = at;
    RecordView record;
    Offset wanted = at;
    for (;;) {
      CO_TRY(const bool more, decoder.next(record, wanted));
      if (!more) break;
      EXPECT_EQ(record.offset, at) << to_string(partition.name) << " has a gap at offset " << at.value();
      if (record.offset != at || !seen(partition, record)) co_return at;
      at = next(at);
    }
    EXPECT_EQ(fetched.next_offset, at) << to_string(partition.name);
    if (at == before) break;
  } while (end && at < *end);
  co_return at;
}

Task<Result<void>> Ledger::look(Client& client, LedgerTopic& topic, LedgerPartition& partition, Offset from) {
  const auto end = co_await read(client, partition, from, {});
  if (end) {
    EXPECT_GT(*end, from) << to_string(partition.name) << " does not show what it has acknowledged";
    co_return Result<void>{};
  }
  const ErrorCode code = end.error().code;
  const std::int64_t retained = retention_start(topic.spec, partition, client.reactor().now());
  if (code == ErrorCode::offset_out_of_range && std::max(partition.start_asked, retained) > from.value())
    co_return Result<void>{};
  if (code == ErrorCode::unknown_topic && topic.existence != LedgerTopic::Existence::there)
    co_return Result<void>{};
  expected(end, "reading", to_string(partition.name));
  co_return fail(end.error());
}

// ---- comparing --------------------------------------------------------------------

Task<Result<void>> Ledger::check(Client& client, CheckDepth depth) {
  const auto listed = co_await client.list_topics();
  if (!expected(listed, "listing", "topics")) co_return fail(listed.error());
  resolve_topics(*listed);
  for (auto& [name, topic] : topics_) {
    for (LedgerPartition& partition : topic.partitions) {
      const auto checked = co_await check_topic(client, topic, partition, depth);
      if (!expected(checked, "checking", to_string(partition.name))) co_return checked;
    }
  }
  co_return Result<void>{};
}

Task<Result<void>> Ledger::check_topic(Client& client, const LedgerTopic& topic, LedgerPartition& partition,
                                       CheckDepth depth) {
  for (;;) {
    auto checked = co_await check_partition(client, topic.spec, partition, depth);
    // Retention may take the records that are about to be read.
    const bool is_gone_meanwhile =
        !checked && checked.error().code == ErrorCode::offset_out_of_range && is_retained(topic.spec);
    if (!is_gone_meanwhile) co_return checked;
  }
}

Task<Result<void>> Ledger::check_partition(Client& client, const TopicSpec& spec, LedgerPartition& partition,
                                           CheckDepth depth) {
  CO_TRY(const ListedOffset earliest, co_await client.list_offset(partition.name, OffsetQuery::earliest));
  CO_TRY(const ListedOffset latest, co_await client.list_offset(partition.name, OffsetQuery::latest));
  const std::int64_t start = earliest.offset.value();
  const std::string of = to_string(partition.name);
  EXPECT_GE(start, partition.start) << of << ": a trim was undone";
  const std::int64_t retained = retention_start(spec, partition, client.reactor().now());
  EXPECT_LE(start, std::max({partition.start, partition.start_asked, retained}))
      << of << ": records are gone from the start";
  EXPECT_TRUE(partition.stored.empty() || partition.stored.rbegin()->first < latest.offset.value())
      << of << ": acknowledged records are gone from the end, which is " << latest.offset.value() << ", not "
      << partition.stored.rbegin()->first + 1;
  const Offset from{depth == CheckDepth::everything ? start : std::max(start, partition.checked)};
  if (from < latest.offset) {
    CO_TRY(const Offset end, co_await read(client, partition, from, latest.offset));
    EXPECT_EQ(end, latest.offset) << of;
  }
  partition.stored.erase(partition.stored.begin(), partition.stored.lower_bound(start));
  partition.open.clear();
  partition.start = partition.start_asked = start;
  partition.checked = latest.offset.value();
  co_return Result<void>{};
}

void Ledger::forget_open() {
  for (auto& [name, topic] : topics_) {
    for (LedgerPartition& partition : topic.partitions) partition.open.clear();
  }
}

}  // namespace millrace::test
