#include "fuzz/valid_folder.h"

#include <utility>

#include "engine/base/batch_builder.h"
#include "engine/base/check.h"
#include "engine/base/checksum.h"
#include "engine/base/entry_header.h"
#include "engine/log/journal_format.h"

namespace millrace::fuzz {
namespace {

constexpr std::uint32_t k_direct = 70u << 10;

// Plays the steps, and notes after each how every group stands.
class Maker {
 public:
  Maker(ValidFolder& folder, NodeLogs& logs) : folder_(folder), logs_(logs) {}

  Task<void> create(GroupId group) {
    CHECK(co_await logs_.on(group, [=](ShardLog& log) { return log.create(group, settings_of(group)); }));
    co_await note();
  }
  Task<void> append(GroupId group, std::uint32_t size, ProducerStamp producer = {}) {
    const std::uint64_t id = 1 + folder_.groups[group].entries.size();
    const auto done = co_await logs_.on(group, [=](ShardLog& log, Reactor& there) -> Task<Result<Appended>> {
      co_return co_await log.append(group, make_batch(there.buffers(), id, size, producer), 1,
                                    AckLevel::durable);
    });
    CHECK(done, "{}", done.error().message);
    co_await note();
  }
  // Segments before the log's start go meanwhile, and the others get their footers.
  Task<void> remove_what_is_due() {
    co_await trim(k_trimmed, Offset{2});
    co_await logs_.reactor.sleep(std::chrono::milliseconds(50));
    co_await remove(k_deleted);
  }
  // How everything stands at the start; the log does not keep settings.
  Task<void> begin() {
    for (auto& [group, history] : folder_.groups) {
      history.moments.clear();
      co_await logs_.on(group, [=](ShardLog& log) -> Task<Result<void>> {
        co_return log.configure(group, settings_of(group));
      });
    }
    co_await note();
  }

 private:
  static LogSettings settings_of(GroupId group) {
    LogSettings settings;
    settings.segment_size = group == k_large ? 640_KiB : 160_KiB;
    return settings;
  }
  Task<void> trim(GroupId group, Offset offset) {
    CHECK(co_await logs_.on(group, [=](ShardLog& log) { return log.trim(group, offset); }));
    co_await note();
  }
  Task<void> remove(GroupId group) {
    CHECK(co_await logs_.on(group, [=](ShardLog& log) { return log.remove(group); }));
    co_await note();
  }
  Task<void> note() {
    for (auto& [group, history] : folder_.groups) co_await note(group, history);
  }
  struct Seen {
    Sequence sequence{0};
    std::optional<GroupState> state;
  };
  Task<void> note(GroupId group, GroupHistory& history) {
    const Seen seen = co_await logs_.on(group, [this, group](ShardLog& log) { return look(log, group); });
    history.moments.push_back({seen.sequence, seen.state});
    if (!seen.state) co_return;
    const Index known = history.entries.empty() ? Index{0} : history.entries.rbegin()->first;
    if (known < seen.state->end.last_index) co_await read(group, history, known);
  }
  Task<Seen> look(ShardLog& log, GroupId group) {
    const JournalStart& journal = logs_.node.journals[logs_.shard_of(group).value()];
    Seen seen{journal.next_sequence - 1 + log.counters().commits, {}};
    if (const auto view = log.view(group)) seen.state = GroupState{view->start, view->durable};
    co_return seen;
  }
  // Everything behind `known`.
  Task<void> read(GroupId group, GroupHistory& history, Index known) {
    Offset from = history.moments.back().state->start.offset;
    while (true) {
      const auto found =
          co_await logs_.on(group, [=](ShardLog& log) { return log.read(group, from, 1_MiB); });
      CHECK(found, "{}", found.error().message);
      if (found->entries.empty()) break;
      for (const Slice& slice : found->entries) {
        for (auto rest = std::span<const std::byte>(slice.bytes()); !rest.empty();) {
          const auto header = decode_entry_header(rest);
          CHECK(header, "{}", header.error().message);
          const auto bytes = rest.first(entry_size(header->batch_length));
          if (header->index > known)
            history.entries[header->index].assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          rest = rest.subspan(padded_entry_size(header->batch_length));
        }
      }
      from = found->next_offset;
    }
  }
  ValidFolder& folder_;
  NodeLogs& logs_;
};

ProducerStamp stamp(std::int32_t sequence) {
  return {.id = 77, .epoch = 0, .sequence = sequence};
}

// Which start trims a group and deletes another. If it was the first, no missing file tells that an identity
// is too old.
enum class Removes : std::uint8_t { first_start, second_start };

Task<void> first_start(ValidFolder& folder, NodeLogs& logs, Removes removes) {
  Maker make(folder, logs);
  for (const GroupId group : {k_small, k_large, k_trimmed, k_produced, k_deleted})
    co_await make.create(group);
  for (const auto& [group, history] : folder.groups) {
    if (group != k_made && group != k_produced) co_await make.append(group, 100);
  }
  for (int i = 0; i < 4; ++i) co_await make.append(k_trimmed, k_direct);
  for (int i = 0; i < 4; ++i) co_await make.append(k_large, k_direct);
  for (int i = 0; i < 3; ++i) co_await make.append(k_produced, 500, stamp(i));
  co_await make.append(k_deleted, 3000);
  if (removes == Removes::first_start) co_await make.remove_what_is_due();
}

Task<void> second_start(ValidFolder& folder, NodeLogs& logs, const SimDisk& disk, Removes removes) {
  Maker make(folder, logs);
  co_await make.begin();
  for (const GroupId group : {k_small, k_large, k_trimmed}) co_await make.append(group, 900);
  for (int i = 3; i < 5; ++i) co_await make.append(k_produced, 500, stamp(i));
  for (int i = 0; i < 3; ++i) co_await make.append(k_trimmed, k_direct);
  for (int i = 0; i < 3; ++i) co_await make.append(k_small, k_direct);
  co_await logs.reactor.sleep(std::chrono::milliseconds(50));  // full segments get their footers
  folder.earlier = files_of(disk);
  if (removes == Removes::second_start) co_await make.remove_what_is_due();
  co_await make.create(k_made);
  co_await make.append(k_made, 5000);
  co_await make.append(k_produced, 200, stamp(5));
  co_await make.append(k_small, 2000);
  co_await make.append(k_small, 100);
  co_await make.append(k_trimmed, 10);
  co_await make.append(k_large, k_direct);
}

// The commits of one journal, from the bytes of its files.
std::vector<ValidCommit> commits_of(const ValidFolder& folder, std::uint32_t journal) {
  const DataFolder names(k_folder);
  std::map<Sequence, ValidCommit> found;
  for (const std::uint32_t id : folder.identity.journals[journal]) {
    const std::string path = names.journal_file(id);
    const auto bytes = std::as_bytes(std::span(folder.files.at(path)));
    for (std::uint64_t at = 0; at < bytes.size(); at += k_block_size) {
      const auto header = decode_commit_header(bytes.subspan(at));
      if (!header || header->start_id != folder.identity.start_id || header->journal != journal) continue;
      ValidCommit& commit = found[header->sequence];
      commit.sequence = header->sequence;
      commit.complete_through = header->complete_through;
      commit.bytes = {path, at, at + k_commit_header_size + header->body_length};
      JournalRecordReader reader(bytes.subspan(at + k_commit_header_size, header->body_length));
      while (!reader.done()) {
        const auto record = reader.next();
        CHECK(record, "{}", record.error().message);
        if (const auto* end = std::get_if<CheckpointEndRecord>(&record->body))
          commit.replay_from = end->replay_from;
        if (const auto* extent = std::get_if<ExtentRecord>(&record->body)) {
          commit.extents.push_back({names.segment(record->group, extent->segment), extent->position,
                                    extent->position + extent->length});
        }
      }
    }
  }
  std::vector<ValidCommit> commits;
  for (auto& [sequence, commit] : found) commits.push_back(std::move(commit));
  return commits;
}

ValidFolder make_folder(NodeMachine::End end, std::uint32_t shards) {
  const Removes removes = shards == 1 ? Removes::second_start : Removes::first_start;
  ValidFolder folder;
  folder.shards = shards;
  for (const GroupId group : {k_small, k_large, k_trimmed, k_produced, k_deleted, k_made})
    folder.groups[group];
  NodeMachine machine;
  make_small(machine);
  machine.options.shards = shards;
  machine.log_options.retention_interval = std::chrono::milliseconds(5);
  CHECK(machine.run([&](NodeLogs& logs) { return first_start(folder, logs, removes); }));
  folder.last_start = files_of(machine.disk());
  CHECK(machine.run(
      [&](NodeLogs& logs) -> Task<void> {
        co_await second_start(folder, logs, machine.disk(), removes);
        // Time enough for the empty commit.
        if (end == NodeMachine::End::killed) co_await logs.reactor.sleep(std::chrono::milliseconds(300));
      },
      end));
  folder.image = machine.disk().image();
  folder.files = files_of(machine.disk());
  const auto identity =
      choose_identity(std::as_bytes(std::span(folder.files.at(DataFolder(k_folder).identity()))));
  CHECK(identity, "{}", identity.error().message);
  folder.identity = *identity;
  for (std::uint32_t journal = 0; journal < shards; ++journal)
    folder.journals.push_back(commits_of(folder, journal));
  return folder;
}

}  // namespace

std::vector<std::string> paths_of(const SimDisk& disk) {
  std::vector<std::string> paths, folders{k_folder};
  while (!folders.empty()) {
    const std::string folder = std::exchange(folders.back(), {});
    folders.pop_back();
    const auto entries = disk.list(folder);
    CHECK(entries, "{}: error {}", folder, entries.error());
    for (const FolderEntry& entry : *entries)
      (entry.is_folder ? folders : paths).push_back(folder + "/" + entry.name);
  }
  return paths;
}

Files files_of(const SimDisk& disk) {
  Files files;
  for (const std::string& path : paths_of(disk)) files[path] = *disk.read_file(path);
  return files;
}

void make_small(NodeMachine& machine) {
  machine.options.folder = k_folder;
  machine.options.journal_file_size = k_journal_file_size_min;
  machine.options.ballast_size = machine.log_options.ballast_size = 16_KiB;
  machine.log_options.cache_bytes = 64_KiB;
  machine.log_options.unplaced_bytes_max = 4_MiB;
}

Slice make_batch(BufferPool& pool, std::uint64_t id, std::uint32_t size, const ProducerStamp& producer) {
  // Bytes that depend on their place, so that a block elsewhere is another one.
  std::vector<std::byte> value(size);
  for (std::uint32_t i = 0; i < size; ++i)
    value[i] = static_cast<std::byte>((id * 31 + i) * 0x9e3779b1 >> 11);
  RecordBatchBuilder builder(pool, {.size_expected = size + 200});
  RecordView record;
  record.timestamp = static_cast<std::int64_t>(id);
  record.value = value;
  CHECK(builder.append(record) == BatchAppend::appended);
  return *builder.finish(Codec::none, producer);
}

const ValidFolder& valid_folder(NodeMachine::End end, std::uint32_t shards) {
  static std::map<std::pair<NodeMachine::End, std::uint32_t>, ValidFolder> made;
  const auto known = made.find({end, shards});
  if (known != made.end()) return known->second;
  return made.emplace(std::pair{end, shards}, make_folder(end, shards)).first->second;
}

}  // namespace millrace::fuzz
