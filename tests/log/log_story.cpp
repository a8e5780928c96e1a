#include "tests/log/log_story.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/base/batch_builder.h"
#include "engine/base/endian.h"
#include "engine/base/entry_header.h"
#include "engine/base/record_batch.h"
#include "engine/base/record_reader.h"
#include "engine/reactor/wait.h"
#include "tests/reactor/serving_shards.h"

namespace millrace::test {
namespace {

// The bytes of a record's value, of which the first 8 hold its id instead. Comparing them one by one would be
// most of the time of a story.
std::span<const std::byte> bytes_of(std::uint64_t id, std::size_t size) {
  constexpr std::size_t k_size_max = 2u << 20;
  static const std::vector<std::byte> ramp = [] {
    std::vector<std::byte> made(k_size_max + 256);
    for (std::size_t i = 0; i < made.size(); ++i) made[i] = static_cast<std::byte>(i);
    return made;
  }();
  CHECK(size <= k_size_max);
  return std::span(ramp).subspan(id * 31 % 256, size);
}

// A verb under way that a cut must not meet.
class Busy {
 public:
  explicit Busy(LogStory::Known& known) : known_(known) { ++known_.busy; }
  ~Busy() { --known_.busy; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  LogStory::Known& known_;
};

std::unexpected<Error> is_being_cut(GroupId group) {
  return fail(ErrorCode::cancelled, "group {} is being cut", group.value());
}

}  // namespace

Slice make_batch(BufferPool& pool, std::uint64_t id, std::uint32_t size, bool in_place,
                 std::int64_t timestamp) {
  const auto bytes = bytes_of(id, std::max<std::uint32_t>(size, 8));
  std::vector<std::byte> value(bytes.begin(), bytes.end());
  store_le<std::uint64_t>(value.data(), id);
  RecordBatchBuilder builder(pool, {.size_max = k_batch_size_max, .size_expected = size + 200});
  RecordView record;
  record.timestamp = timestamp;
  record.value = value;
  CHECK(builder.append(record) == BatchAppend::appended);
  Slice batch = *builder.finish();
  if (!in_place) return batch;
  Buffer buffer = *pool.acquire(k_batch_offset_in_entry + batch.length + k_block_size);
  std::memcpy(buffer.data() + k_batch_offset_in_entry, batch.bytes().data(), batch.length);
  return Slice{buffer, k_batch_offset_in_entry, batch.length};
}

LogStory::LogStory(std::uint64_t seed, SimOptions options)
    : world_(seed, std::move(options)), node_(world_.add_node("node")) {
  node_options.folder = "data";
  node_options.journal_file_size = 1_MiB;
  node_options.ballast_size = log_options.ballast_size = 512_KiB;
  log_options.cache_bytes = 512_KiB;
  log_options.unplaced_bytes_max = 4_MiB;
  log_options.retention_interval = std::chrono::milliseconds(5);
  settings.segment_size = 256_KiB;
}

Task<Result<void>> LogStory::start_logs(Logs& logs) {
  CO_TRY(logs.node, co_await open_node(logs.reactor, node_options));
  notes_ = logs.node.notes;
  found_clean_ = logs.node.clean;
  logs.shards.resize(node_options.shards);
  for (std::uint32_t i = 0; i < node_options.shards; ++i) {
    CO_TRY_VOID(
        co_await on_shard(logs.reactor, ShardId{i}, [&logs, i, this](Reactor& there) -> Task<Result<void>> {
          logs.shards[i] = std::make_unique<ShardLog>(there, DataFolder(node_options.folder),
                                                      logs.node.identity, logs.node.journals[i],
                                                      logs.node.groups[i], logs.node.ballast, log_options);
          for (const GroupId group : logs.shards[i]->groups())
            EXPECT_TRUE(logs.shards[i]->configure(group, groups[group].settings).has_value());
          return logs.shards[i]->start();
        }));
    ++started_;
  }
  co_return Result<void>{};
}

Task<void> LogStory::main(Reactor& reactor, Script script, End end) {
  Logs logs{reactor, {}, {}};
  started_ = 0;
  outcome_ = co_await start_logs(logs);
  if (outcome_) co_await script(logs);
  if (end == End::abandoned) {
    world_.after(Duration(0), [this] { node_.kill(); });
    co_await reactor.sleep_until(k_never);
  }
  for (std::uint32_t i = 0; i < started_; ++i) {
    auto stopped =
        co_await on_shard(reactor, ShardId{i}, [&logs, i](Reactor&) { return logs.shards[i]->stop(); });
    if (!stopped && outcome_) outcome_ = std::move(stopped);
    co_await on_shard(reactor, ShardId{i}, [&logs, i](Reactor&) -> Task<void> {
      logs.shards[i].reset();
      co_return;
    });
  }
}

void LogStory::start(const Script& script, End end) {
  const auto endings = std::make_shared<std::vector<ShardEnding>>(node_options.shards);
  node_.start(node_options.shards, [this, script, end, endings](Reactor& reactor) {
    const std::uint32_t shard = reactor.shard().value();
    if (shard != 0) return serve(reactor, (*endings)[shard]);
    return lead(reactor, [this, script, end](Reactor& first) { return main(first, script, end); }, *endings);
  });
}

Result<void> LogStory::run(const Script& script, End end) {
  outcome_ = {};
  start(script, end);
  const SimEnd reached = world_.run_until([&] { return !node_.running(); });
  EXPECT_EQ(reached, SimEnd::reached) << world_.waiting();
  if (reached != SimEnd::reached) node_.kill();
  let_writes_land();  // of a process that was killed
  return outcome_;
}

void LogStory::run_for_events(const Script& script, std::uint64_t events) {
  start(script, End::clean);
  const std::uint64_t until = world_.event_count() + events;
  const SimEnd reached = world_.run_until([&] { return world_.event_count() >= until || !node_.running(); });
  EXPECT_EQ(reached, SimEnd::reached) << world_.waiting();
}

void LogStory::run_until_cut(const Script& script, std::uint64_t events, SimCut cut) {
  run_for_events(script, events);
  if (node_.running()) node_.power_cut(cut);
}

bool LogStory::run_until_kill(const Script& script, std::uint64_t events) {
  run_for_events(script, events);
  const bool killed = node_.running();
  if (killed) node_.kill();
  let_writes_land();
  return killed;
}

void LogStory::let_writes_land() {
  EXPECT_EQ(world_.run_until([&] { return node_.device().in_flight() == 0; }), SimEnd::reached);
}

// ---- verbs ----------------------------------------------------------------------

Task<Result<void>> LogStory::create(Logs& logs, GroupId group) {
  groups[group].may_exist = true;
  groups[group].settings = settings;
  auto created = co_await on_shard(logs.reactor, shard_of(group, node_options.shards),
                                   [&](Reactor&) { return logs.of(group).create(group, settings); });
  if (created) groups[group].created = true;
  co_return created;
}

Task<Result<Appended>> LogStory::append(Logs& logs, GroupId group, std::uint32_t size, AckLevel level) {
  if (groups[group].cut) co_return is_being_cut(group);
  const Busy busy(groups[group]);
  const std::uint64_t id = next_id_++;
  groups[group].attempted[id] = size;
  groups[group].asked[id] = world_.now();
  auto done = co_await on_shard(logs.reactor, shard_of(group, node_options.shards),
                                [&logs, group, id, size, level](Reactor& there) -> Task<Result<Appended>> {
                                  Slice batch = make_batch(there.buffers(), id, size,
                                                           size >= k_direct_size_min && id % 2 == 0);
                                  co_return co_await logs.of(group).append(group, std::move(batch), 1, level);
                                });
  if (done && done->level == AckLevel::durable) {
    Known& known = groups[group];
    auto [it, fresh] = known.acknowledged.emplace(done->base_offset.value(), id);
    EXPECT_TRUE(fresh || it->second == id)
        << "offset " << done->base_offset.value() << " was given out twice";
    known.indexes[done->base_offset.value()] = done->index.value();
    ++appended;
  }
  co_return done;
}

Task<void> LogStory::append_counted(Logs& logs, GroupId group, std::uint32_t size, int& done) {
  expect_ok(co_await append(logs, group, size));
  ++done;
}

Task<void> LogStory::begin_a_slow_commit(Logs& logs, Gate& gate, GroupId group) {
  SimFaults& faults = disk().faults();
  const SimFaults quick = faults;
  faults.latency_min = faults.latency_max = std::chrono::milliseconds(100);
  gate.spawn([](LogStory& story, Logs& there, GroupId id) -> Task<void> {
    expect_ok(co_await story.append(there, id, 100));
  }(*this, logs, group));
  static_cast<void>(co_await logs.reactor.sleep(std::chrono::microseconds(100)));
  faults = quick;
}

Task<Result<void>> LogStory::trim(Logs& logs, GroupId group, Offset offset) {
  Known& known = groups[group];
  if (known.cut) co_return is_being_cut(group);
  const Busy busy(known);
  known.start_asked = std::max(known.start_asked, offset.value());
  auto done = co_await on_shard(logs.reactor, shard_of(group, node_options.shards),
                                [&](Reactor&) { return logs.of(group).trim(group, offset); });
  const auto view =
      co_await on_shard(logs.reactor, shard_of(group, node_options.shards),
                        [&](Reactor&) -> Task<Result<LogView>> { co_return logs.of(group).view(group); });
  if (view) known.trimmed_at = std::max(known.trimmed_at, view->end.last_index.value());
  if (!done) co_return fail(std::move(done).error());
  known.start = std::max(known.start, offset.value());
  co_return Result<void>{};
}

Task<Result<void>> LogStory::truncate(Logs& logs, GroupId group, Index last) {
  Known& known = groups[group];
  if (known.cut) co_return is_being_cut(group);
  CHECK(known.busy == 0, "group {} is in use and cannot be cut", group.value());
  CHECK(last.value() >= known.trimmed_at && known.settings.retention_bytes == 0 &&
            known.settings.retention_age.count() == 0,
        "a trim of group {} would be undone", group.value());
  LogCut& cut = known.cut.emplace();
  cut.start = node_.starts();
  auto at = known.acknowledged.begin();
  while (at != known.acknowledged.end() && known.indexes.at(at->first) <= last.value()) ++at;
  cut.end = at == known.acknowledged.begin() ? 0 : std::prev(at)->first + 1;
  while (at != known.acknowledged.end()) {
    cut.suffix.insert(*at);
    at = known.acknowledged.erase(at);
  }
  auto done = co_await on_shard(logs.reactor, shard_of(group, node_options.shards),
                                [&](Reactor&) -> Task<Result<LogView>> {
                                  CO_TRY_VOID(co_await logs.of(group).truncate(group, last));
                                  co_return logs.of(group).view(group);
                                });
  if (!done) co_return fail(std::move(done).error());
  resolve_cut(known, *done);
  co_return Result<void>{};
}

void LogStory::resolve_cut(Known& known, const LogView& view) {
  if (!known.cut) return;
  const LogCut cut = *std::exchange(known.cut, std::nullopt);
  if (view.durable.next_offset.value() > cut.end) {  // it was not made
    known.acknowledged.insert(cut.suffix.begin(), cut.suffix.end());
    return;
  }
  for (const auto& [offset, id] : cut.suffix) {
    known.attempted.erase(id);
    known.indexes.erase(offset);
  }
}

Task<Result<void>> LogStory::remove(Logs& logs, GroupId group) {
  groups[group].removed = true;
  const Busy busy(groups[group]);
  auto done = co_await on_shard(logs.reactor, shard_of(group, node_options.shards),
                                [&](Reactor&) { return logs.of(group).remove(group); });
  co_return done;
}

// ---- comparing ------------------------------------------------------------------

namespace {

// Every record of a read result: offset, id, and that its bytes are those that id was given.
void take_records(const ReadResult& result, std::vector<LogStory::Seen>& into) {
  for (const Slice& slice : result.entries) {
    auto rest = slice.bytes();
    while (!rest.empty()) {
      const auto header = decode_entry_header(rest);
      ASSERT_TRUE(header.has_value()) << header.error().message;
      if (header->type == EntryType::batch) {
        const auto bytes =
            rest.subspan(k_batch_offset_in_entry, entry_size(header->batch_length) - k_batch_offset_in_entry);
        const BatchHeader batch = decode_batch_header(bytes.first<k_batch_header_size>());
        RecordReader reader(batch, bytes.subspan(k_batch_header_size));
        RecordView record;
        const auto more = reader.next(record);
        ASSERT_TRUE(more.has_value() && *more);
        const std::uint64_t id = load_le<std::uint64_t>(record.value->data());
        const auto expected = bytes_of(id, record.value->size());
        ASSERT_EQ(std::memcmp(record.value->data() + 8, expected.data() + 8, expected.size() - 8), 0)
            << "record " << id << " has other bytes";
        into.push_back({record.offset.value(), id, header->index.value()});
      }
      rest = rest.subspan(padded_entry_size(header->batch_length));
    }
  }
}

}  // namespace

namespace {

// The first record that must stay by its size. Generously: internal entries, padding and headers take space,
// too, and what is not known to be there may be.
std::int64_t start_by_size(const LogStory::Known& known) {
  if (known.settings.retention_bytes == 0) return 0;
  const auto cost = [](std::uint32_t size) { return 2 * std::uint64_t{size} + 32_KiB; };
  std::uint64_t bytes = 0;
  for (const auto& [id, size] : known.attempted) bytes += cost(size);
  for (const auto& [offset, id] : known.acknowledged) bytes -= cost(known.attempted.at(id));
  std::int64_t start = std::numeric_limits<std::int64_t>::max();
  for (auto at = known.acknowledged.rbegin(); at != known.acknowledged.rend(); ++at) {
    bytes += cost(known.attempted.at(at->second));
    if (bytes > known.settings.retention_bytes) break;
    start = at->first;
  }
  return start;
}

// The first record that must stay by its age: what was asked for so lately was not sealed before.
std::int64_t start_by_age(const LogStory::Known& known, MonotonicTime now) {
  if (known.settings.retention_age.count() == 0) return 0;
  for (const auto& [offset, id] : known.acknowledged) {
    const auto asked = known.asked.find(id);
    if (asked != known.asked.end() && asked->second + known.settings.retention_age >= now) return offset;
  }
  return std::numeric_limits<std::int64_t>::max();
}

// Where the log may begin at the latest, for all that retention has done.
std::int64_t retention_start(const LogStory::Known& known, MonotonicTime now) {
  return std::max(start_by_size(known), start_by_age(known, now));
}

}  // namespace

void LogStory::compare(Known& known, const Records& acknowledged, const LogView& view,
                       const std::vector<Seen>& records) {
  std::int64_t expected = view.start.offset.value();
  std::map<std::uint64_t, std::int64_t> once;
  for (const auto& [offset, id, index] : records) {
    EXPECT_TRUE(known.attempted.contains(id)) << "record " << id << " was never appended, or was cut off";
    EXPECT_TRUE(once.emplace(id, offset).second) << "record " << id << " twice";
    // The batch that holds the start may begin before it.
    if (offset < view.start.offset.value()) continue;
    EXPECT_EQ(offset, expected++);
    // A reader has seen it: it must stay.
    const auto known_id = known.acknowledged.emplace(offset, id).first->second;
    known.indexes[offset] = index;
    EXPECT_EQ(known_id, id) << "another record at acknowledged offset " << offset;
  }
  EXPECT_GE(expected, view.durable.next_offset.value());
  if (acknowledged.empty()) return;
  EXPECT_GT(expected, acknowledged.rbegin()->first) << "acknowledged records are gone";
}

Task<Result<void>> LogStory::look(Logs& logs, GroupId group) {
  Known& known = groups[group];
  if (known.cut && known.cut->start == node_.starts()) co_return Result<void>{};
  const Busy busy(known);
  ShardLog& log = logs.of(group);
  const ShardId shard = shard_of(group, node_options.shards);
  const auto view_now = [&] {
    return on_shard(logs.reactor, shard,
                    [&](Reactor&) -> Task<Result<LogView>> { co_return log.view(group); });
  };
  const auto view = co_await view_now();
  if (!view) {
    EXPECT_TRUE(known.removed || !known.created) << "group " << group.value() << " is gone";
    co_return Result<void>{};
  }
  resolve_cut(known, *view);
  EXPECT_GE(view->start.offset.value(), known.start) << "a trim was undone";
  EXPECT_LE(view->start.offset.value(),
            std::max({known.start, known.start_asked, retention_start(known, world_.now())}))
      << "group " << group.value() << " has lost records from its start";
  // Others may append, trim and delete while this reads: what was acknowledged before must be there.
  const Records acknowledged = known.acknowledged;
  std::vector<Seen> records;
  for (Offset at = view->start.offset; at < view->durable.next_offset;) {
    auto read =
        co_await on_shard(logs.reactor, shard, [&](Reactor&) { return log.read(group, at, 200'000); });
    if (!read) {
      const auto now = co_await view_now();
      if (!now || now->start.offset > at) co_return Result<void>{};
      co_return fail(std::move(read).error());
    }
    EXPECT_GT(read->next_offset, at) << "group " << group.value() << " goes nowhere at offset " << at.value();
    if (read->next_offset <= at) co_return Result<void>{};
    take_records(*read, records);
    at = read->next_offset;
  }
  SCOPED_TRACE(fmt::format("group {}", group.value()));
  compare(known, acknowledged, *view, records);
  co_return Result<void>{};
}

Task<void> LogStory::expect_group(Logs& logs, GroupId group) {
  const auto looked = co_await look(logs, group);
  EXPECT_TRUE(looked) << looked.error().message;
}

Task<void> LogStory::expect_groups(Logs& logs) {
  for (const auto& [group, known] : groups) co_await expect_group(logs, group);
}

void LogStory::expect_everything() {
  const auto done = run([this](Logs& logs) { return expect_groups(logs); });
  EXPECT_TRUE(done.has_value()) << done.error().message;
}

}  // namespace millrace::test
