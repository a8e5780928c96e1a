#include "net/catalog.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/endian.h"
#include "engine/base/entry_header.h"
#include "engine/base/record_batch.h"
#include "engine/reactor/wait.h"

namespace millrace {
namespace {

enum class AfterError : std::uint8_t { stop, go_on };

// Runs `function(ShardContext&)`, a task, on every shard in turn; the first error.
template <class Function>
Task<Result<void>> on_every_shard(ShardContext& context, Function function,
                                  AfterError after = AfterError::stop) {
  Result<void> result;
  for (std::uint32_t i = 0; i < context.reactor.shard_count(); ++i) {
    auto done =
        co_await on_shard(context.reactor, ShardId{i}, [&shards = context.shards, &function](Reactor& there) {
          return function(ShardContext::of(shards, there));
        });
    if (!done && result) result = std::move(done);
    if (!result && after == AfterError::stop) break;
  }
  co_return result;
}

// The groups of a topic that this shard owns.
std::vector<GroupId> groups_here(const ShardContext& here, const Topic& topic) {
  std::vector<GroupId> groups;
  for (std::uint32_t p = 0; p < topic.partitions; ++p) {
    if (here.owns(topic.group(p))) groups.push_back(topic.group(p));
  }
  return groups;
}

Task<Result<void>> check_room_here(ShardContext& here, const Topic& topic) {
  co_return here.log.check_room_for(groups_here(here, topic).size());
}

Task<Result<void>> make_groups_here(ShardContext& here, const Topic& topic) {
  for (const GroupId group : groups_here(here, topic)) {
    if (here.log.contains(group)) {
      CO_TRY_VOID(here.log.configure(group, topic.settings));
    } else {
      CO_TRY_VOID(co_await here.log.create(group, topic.settings));
    }
  }
  co_return Result<void>{};
}

// Of all that can be removed nothing stays: nobody asks for it again before the next start. The first error.
Task<Result<void>> remove_groups_here(ShardContext& here, const Topic& topic) {
  Result<void> result;
  for (const GroupId group : groups_here(here, topic)) {
    if (!here.log.contains(group)) continue;
    auto removed = co_await here.log.remove(group);
    if (!removed && result) result = std::move(removed);
  }
  co_return result;
}

// Removes what no topic has; see Catalog::reconcile().
Task<Result<void>> remove_strays(ShardContext& here, const std::set<GroupId>& known, GroupId next_group) {
  for (const GroupId group : here.log.groups()) {
    if (known.contains(group)) continue;
    if (group >= next_group) {
      co_return fail(
          ErrorCode::corruption,
          "group {} exists, and the topics' metadata, whose next group is {}, knows nothing of it: records "
          "of "
          "group 0 are missing. Nothing was changed; restore groups/{:016x} from a copy of this folder",
          group.value(), next_group.value(), k_metadata_group.value());
    }
    here.reactor.log(LogLevel::info, fmt::format("removing group {}: its topic was deleted", group.value()));
    CO_TRY_VOID(co_await here.log.remove(group));
  }
  co_return Result<void>{};
}

}  // namespace

// ---- at the start

Task<Result<void>> Catalog::load() {
  if (!context_.log.contains(k_metadata_group)) {
    CO_TRY_VOID(co_await context_.log.create(k_metadata_group, LogSettings{}));
  }
  CO_TRY_VOID(co_await replay());
  CO_TRY_VOID(co_await reconcile());
  for (const auto& [name, topic] : TopicTable::Topics(context_.topics.all())) co_await publish({name, topic});
  co_return Result<void>{};
}

Task<Result<void>> Catalog::replay() {
  constexpr std::uint64_t k_read_size = 1_MiB;
  CO_TRY(LogView view, context_.log.view(k_metadata_group));
  for (Offset at = view.start.offset; at < view.durable.next_offset;) {
    CO_TRY(const ReadResult read, co_await context_.log.read(k_metadata_group, at, k_read_size));
    if (read.next_offset <= at) break;
    for (const Slice& slice : read.entries) CO_TRY_VOID(replay_entries(slice.bytes()));
    at = read.next_offset;
  }
  co_return Result<void>{};
}

Result<void> Catalog::replay_entries(std::span<const std::byte> entries) {
  while (!entries.empty()) {
    TRY(const EntryHeader header, decode_entry_header(entries));
    const std::uint32_t size = entry_size(header.batch_length);
    if (entries.size() < size) return fail(ErrorCode::corruption, "the metadata ends within an entry");
    if (header.type == EntryType::batch) {
      TRY(const auto changes,
          decode_topic_changes(entries.subspan(k_batch_offset_in_entry, size - k_batch_offset_in_entry)));
      for (const TopicChange& change : changes) replay_change(change);
    }
    entries = entries.subspan(std::min<std::size_t>(padded_size(size), entries.size()));
  }
  return {};
}

void Catalog::replay_change(const TopicChange& change) {
  if (!change.topic) return context_.topics.erase(change.name);
  context_.topics.put(*change.topic);
  next_group_ = std::max(next_group_, change.topic->first_group + change.topic->partitions);
}

Task<Result<void>> Catalog::reconcile() {
  std::set<GroupId> known{k_metadata_group};
  for (const auto& [name, topic] : context_.topics.all()) {
    for (std::uint32_t p = 0; p < topic.partitions; ++p) known.insert(topic.group(p));
  }
  // Removing comes first: it may be what makes room for the others.
  CO_TRY_VOID(co_await on_every_shard(
      context_, [&](ShardContext& there) { return remove_strays(there, known, next_group_); }));
  for (const auto& [name, topic] : context_.topics.all()) CO_TRY_VOID(co_await make_groups(topic));
  co_return Result<void>{};
}

// ---- changes

Task<Result<void>> Catalog::take_turn(MonotonicTime deadline) {
  if (!co_await turn_.lock_until(deadline))
    co_return fail(ErrorCode::overloaded, "other changes of topics are made before; try again later");
  if (!context_.stopping) co_return Result<void>{};
  turn_.unlock();
  co_return fail(ErrorCode::shutting_down, "the server is stopping; ask again later");
}

Task<Result<TopicId>> Catalog::create(Topic topic, MonotonicTime deadline) {
  CO_TRY_VOID(check_topic(topic));
  CO_TRY_VOID(co_await take_turn(deadline));
  for (std::size_t half = 0; half < 2; ++half) {
    store_le<std::uint64_t>(topic.id.bytes.data() + half * 8, context_.reactor.random());
  }
  topic.first_group = next_group_;
  const TopicId id = topic.id;
  auto created = co_await create_locked(std::move(topic), deadline);
  turn_.unlock();
  if (!created) co_return fail(std::move(created).error());
  co_return id;
}

Task<Result<void>> Catalog::create_locked(Topic topic, MonotonicTime deadline) {
  if (context_.topics.find(topic.name) != nullptr) {
    co_return fail(ErrorCode::topic_exists, "topic '{}' exists", topic.name);
  }
  std::uint64_t partitions = topic.partitions;
  for (const auto& [name, other] : context_.topics.all()) partitions += other.partitions;
  if (partitions > k_partitions_node_max) {
    co_return fail(
        ErrorCode::invalid_argument,
        "with topic '{}' there would be {} partitions; at most {} are kept: delete topics, or give "
        "this one fewer",
        topic.name, partitions, k_partitions_node_max);
  }
  // Before anything is durable: a start after a crash has to make what the record names.
  CO_TRY_VOID(co_await on_every_shard(
      context_, [&topic](ShardContext& there) { return check_room_here(there, topic); }));
  CO_TRY_VOID(co_await record({topic.name, topic}, deadline));
  next_group_ = topic.first_group + topic.partitions;
  auto made = co_await make_groups(topic);
  if (made) {
    co_await publish({topic.name, topic});
    co_return made;
  }
  // It exists in group 0 until a record says otherwise; a crash before that one is what reconcile() is for.
  if (auto undone = co_await record({topic.name, {}}, k_never); !undone) {
    context_.reactor.log(
        LogLevel::error,
        fmt::format("topic '{}' could not be made ({}) and stays half made until it is deleted: {}",
                    topic.name, made.error().message, undone.error().message));
    co_await publish({topic.name, topic});
    co_return made;
  }
  static_cast<void>(co_await remove_groups(topic));
  co_return made;
}

Task<Result<Topic>> Catalog::alter(std::string name, TopicId id, Change change, MonotonicTime deadline) {
  CO_TRY_VOID(co_await take_turn(deadline));
  auto altered = co_await alter_locked(std::move(name), id, std::move(change), deadline);
  turn_.unlock();
  co_return altered;
}

Task<Result<Topic>> Catalog::alter_locked(std::string name, TopicId id, Change change,
                                          MonotonicTime deadline) {
  CO_TRY(const Topic* found, find(name, id));
  CO_TRY(Topic topic, change(*found));
  CO_TRY_VOID(check_topic(topic));
  CO_TRY_VOID(co_await record({name, topic}, deadline));
  co_await publish({name, topic});
  // They are there: this hands them their settings.
  CO_TRY_VOID(co_await make_groups(topic));
  co_return topic;
}

Result<const Topic*> Catalog::find(const std::string& name, TopicId id) const {
  const Topic* found = context_.topics.find(name);
  if (found != nullptr && found->id == id) return found;
  return fail(ErrorCode::unknown_topic, "topic '{}' was deleted by somebody else", name);
}

Task<Result<void>> Catalog::remove(std::string name, TopicId id, MonotonicTime deadline) {
  CO_TRY_VOID(co_await take_turn(deadline));
  auto removed = co_await remove_locked(std::move(name), id, deadline);
  turn_.unlock();
  co_return removed;
}

Task<Result<void>> Catalog::remove_locked(std::string name, TopicId id, MonotonicTime deadline) {
  CO_TRY(const Topic* found, find(name, id));
  const Topic topic = *found;
  CO_TRY_VOID(co_await record({name, {}}, deadline));
  co_await publish({name, {}});
  co_return co_await remove_groups(topic);
}

Task<Result<void>> Catalog::make_groups(const Topic& topic) {
  return on_every_shard(context_, [&topic](ShardContext& there) { return make_groups_here(there, topic); });
}

Task<Result<void>> Catalog::remove_groups(const Topic& topic) {
  return on_every_shard(
      context_, [&topic](ShardContext& there) { return remove_groups_here(there, topic); },
      AfterError::go_on);
}

Task<Result<void>> Catalog::record(const TopicChange& change, MonotonicTime deadline) {
  Reactor& reactor = context_.reactor;
  CO_TRY(const Slice batch, encode_topic_change(reactor.buffers(), change, reactor.wall_clock()));
  CO_TRY_VOID(co_await context_.log.append(k_metadata_group, batch, 1, AckLevel::durable, deadline));
  co_return Result<void>{};
}

Task<void> Catalog::publish(const TopicChange& change) {
  const auto published =
      co_await on_every_shard(context_, [&change](ShardContext& there) -> Task<Result<void>> {
        if (change.topic) {
          there.topics.put(*change.topic);
        } else {
          there.topics.erase(change.name);
        }
        co_return Result<void>{};
      });
  CHECK(published, "a table cannot refuse a change");
}

}  // namespace millrace
