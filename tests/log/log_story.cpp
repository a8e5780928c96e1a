#include "tests/log/log_story.h"

#include <cstring>

#include "engine/base/batch_builder.h"
#include "engine/base/endian.h"
#include "engine/base/entry_header.h"
#include "engine/base/record_batch.h"
#include "engine/base/record_reader.h"
#include "engine/reactor/wait.h"

namespace millrace::test {

Slice make_batch(BufferPool& pool, std::uint64_t id, std::uint32_t size, bool in_place,
                 std::int64_t timestamp) {
  std::vector<std::byte> value(std::max<std::uint32_t>(size, 8));
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<std::byte>(id * 31 + i);
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
          logs.shards[i] =
              std::make_unique<ShardLog>(there, DataFolder(node_options.folder), logs.node.identity,
                                         logs.node.journals[i], logs.node.groups[i], log_options);
          for (const GroupId group : logs.shards[i]->groups())
            EXPECT_TRUE(logs.shards[i]->configure(group, settings).has_value());
          return logs.shards[i]->start();
        }));
  }
  co_return Result<void>{};
}

Task<void> LogStory::main(Reactor& reactor, Script script, End end) {
  Logs logs{reactor, {}, {}};
  outcome_ = co_await start_logs(logs);
  if (!outcome_) co_return;
  co_await script(logs);
  if (end == End::abandoned) co_return;
  for (std::uint32_t i = 0; i < node_options.shards; ++i) {
    auto stopped =
        co_await on_shard(reactor, ShardId{i}, [&logs, i](Reactor&) { return logs.shards[i]->stop(); });
    if (!stopped && outcome_) outcome_ = std::move(stopped);
    co_await on_shard(reactor, ShardId{i}, [&logs, i](Reactor&) -> Task<void> {
      logs.shards[i].reset();
      co_return;
    });
  }
}

Result<void> LogStory::run(const Script& script, End end) {
  outcome_ = {};
  node_.start(node_options.shards, [this, script, end](Reactor& reactor) -> Task<void> {
    if (reactor.shard() == ShardId{0}) co_await main(reactor, script, end);
  });
  const SimEnd reached = world_.run_until([&] { return !node_.running(); });
  EXPECT_EQ(reached, SimEnd::reached) << world_.waiting();
  if (reached != SimEnd::reached) node_.kill();
  return outcome_;
}

void LogStory::run_until_cut(const Script& script, std::uint64_t events, SimCut cut) {
  node_.start(node_options.shards, [this, script](Reactor& reactor) -> Task<void> {
    if (reactor.shard() == ShardId{0}) co_await main(reactor, script, End::clean);
  });
  const std::uint64_t until = world_.event_count() + events;
  const SimEnd reached = world_.run_until([&] { return world_.event_count() >= until || !node_.running(); });
  EXPECT_EQ(reached, SimEnd::reached) << world_.waiting();
  if (node_.running()) node_.power_cut(cut);
}

// ---- verbs ----------------------------------------------------------------------

Task<Result<void>> LogStory::create(Logs& logs, GroupId group) {
  groups[group].may_exist = true;
  auto created = co_await on_shard(logs.reactor, shard_of(group, node_options.shards),
                                   [&](Reactor&) { return logs.of(group).create(group, settings); });
  if (created) groups[group].created = true;
  co_return created;
}

Task<Result<Appended>> LogStory::append(Logs& logs, GroupId group, std::uint32_t size, AckLevel level) {
  const std::uint64_t id = next_id_++;
  groups[group].attempted[id] = size;
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
    known.index_end = std::max(known.index_end, done->index.value());
    ++appended;
  }
  co_return done;
}

Task<Result<void>> LogStory::trim(Logs& logs, GroupId group, Offset offset) {
  Known& known = groups[group];
  known.start_pending = true;
  known.start_asked = std::max(known.start_asked, offset.value());
  auto done = co_await on_shard(logs.reactor, shard_of(group, node_options.shards),
                                [&](Reactor&) { return logs.of(group).trim(group, offset); });
  if (!done) co_return fail(std::move(done).error());
  known.start = std::max(known.start, offset.value());
  co_return Result<void>{};
}

Task<Result<void>> LogStory::truncate(Logs& logs, GroupId group, Index last) {
  Known& known = groups[group];
  // From here on nothing is certain about what lies behind the cut; this story cuts only when it knows the
  // whole log.
  auto done = co_await on_shard(logs.reactor, shard_of(group, node_options.shards),
                                [&](Reactor&) { return logs.of(group).truncate(group, last); });
  if (done) {
    const LogView view = *logs.of(group).view(group);
    known.acknowledged.erase(known.acknowledged.lower_bound(view.end.next_offset.value()),
                             known.acknowledged.end());
    known.index_end = view.end.last_index.value();
  }
  co_return done;
}

Task<Result<void>> LogStory::remove(Logs& logs, GroupId group) {
  groups[group].removed = true;
  auto done = co_await on_shard(logs.reactor, shard_of(group, node_options.shards),
                                [&](Reactor&) { return logs.of(group).remove(group); });
  co_return done;
}

// ---- comparing ------------------------------------------------------------------

namespace {

// Every record of a read result: offset, id, and that its bytes are those that id was given.
void take_records(const ReadResult& result, std::vector<std::pair<std::int64_t, std::uint64_t>>& into) {
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
        for (std::size_t i = 8; i < record.value->size(); ++i) {
          ASSERT_EQ((*record.value)[i], static_cast<std::byte>(id * 31 + i))
              << "record " << id << " at byte " << i;
        }
        into.emplace_back(record.offset.value(), id);
      }
      rest = rest.subspan(padded_entry_size(header->batch_length));
    }
  }
}

}  // namespace

Task<void> LogStory::expect_group(Logs& logs, GroupId group) {
  Known& known = groups[group];
  ShardLog& log = logs.of(group);
  const ShardId shard = shard_of(group, node_options.shards);
  const auto look = [&] {
    return on_shard(logs.reactor, shard,
                    [&](Reactor&) -> Task<Result<LogView>> { co_return log.view(group); });
  };
  const auto view = co_await look();
  if (!view) {
    EXPECT_TRUE(known.removed || !known.created) << "group " << group.value() << " is gone";
    co_return;
  }
  EXPECT_GE(view->start.offset.value(), known.start) << "a trim was undone";
  EXPECT_LE(view->start.offset.value(), std::max(known.start, known.start_asked));
  // Others may append, trim and delete while this reads: what was acknowledged before must be there.
  const std::map<std::int64_t, std::uint64_t> acknowledged = known.acknowledged;
  std::vector<std::pair<std::int64_t, std::uint64_t>> records;
  for (Offset at = view->start.offset; at < view->durable.next_offset;) {
    auto read =
        co_await on_shard(logs.reactor, shard, [&](Reactor&) { return log.read(group, at, 200'000); });
    if (!read) {
      const auto now = co_await look();
      EXPECT_TRUE(!now || now->start.offset > at) << read.error().message;
      co_return;
    }
    EXPECT_GT(read->next_offset, at) << "group " << group.value() << " goes nowhere at offset " << at.value();
    if (read->next_offset <= at) co_return;
    take_records(*read, records);
    at = read->next_offset;
  }
  std::int64_t expected = view->start.offset.value();
  std::map<std::uint64_t, std::int64_t> once;
  for (const auto& [offset, id] : records) {
    EXPECT_TRUE(known.attempted.contains(id)) << "record " << id << " was never appended";
    EXPECT_TRUE(once.emplace(id, offset).second) << "record " << id << " twice";
    // The batch that holds the start may begin before it.
    if (offset < view->start.offset.value()) continue;
    EXPECT_EQ(offset, expected++) << "group " << group.value();
    // A reader has seen it: it must stay.
    const auto known_id = known.acknowledged.emplace(offset, id).first->second;
    EXPECT_EQ(known_id, id) << "another record at acknowledged offset " << offset << " of group "
                            << group.value();
  }
  EXPECT_GE(expected, view->durable.next_offset.value());
  if (!acknowledged.empty()) {
    EXPECT_GT(expected, acknowledged.rbegin()->first)
        << "acknowledged records are gone from group " << group.value();
  }
}

Task<void> LogStory::expect_groups(Logs& logs) {
  for (const auto& [group, known] : groups) co_await expect_group(logs, group);
}

void LogStory::expect_everything() {
  const auto done = run([this](Logs& logs) { return expect_groups(logs); });
  EXPECT_TRUE(done.has_value()) << done.error().message;
}

}  // namespace millrace::test
