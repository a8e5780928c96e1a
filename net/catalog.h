// Catalog: the node's topics, kept in the log of group 0 and nowhere else. Lives on shard 0.
//
// A topic is made in this order: its record is durable in group 0, then its groups are made on their shards,
// then every shard's table has it, then the client hears of it. It is deleted in this order: the record
// without a value is durable, no table has it any more, its groups are removed, the client hears of it. When
// its settings change, its new record is durable first, then tables and groups have them. So whatever a crash
// leaves half done is known at the next start from group 0 alone, and reconcile() finishes it: groups that
// topics lack are made, groups that no topic has are removed. Group ids rise with the records and are never
// used again; the next one follows from them. tests/net/catalog_test.cpp cuts the power between any two of
// these steps.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/reactor/mutex.h"
#include "engine/reactor/task.h"
#include "net/shard_context.h"
#include "net/topic_record.h"

namespace millrace {

class Catalog {
 public:
  // Every shard's context must exist, and this one's be shard 0's.
  explicit Catalog(ShardContext& context) : context_(context), turn_(context.reactor) {}

  // Reads group 0 (and makes it, in a new folder), finishes what a crash interrupted, and fills every shard's
  // table. corruption when groups exist that the metadata knows nothing of; disk_full; the log's errors.
  Task<Result<void>> load();

  // `topic.first_group` and `topic.id` are given here. topic_exists, invalid_argument, and the log's errors,
  // of which disk_full leaves nothing behind. overloaded when other changes took until `deadline`, or the
  // log had no room for the record until then; shutting_down. Both hold for what follows, too.
  Task<Result<TopicId>> create(Topic topic, MonotonicTime deadline);
  // Gives the topic the settings that `change` makes of those it has, and returns it when they are durable
  // and in force on all its partitions. unknown_topic as in remove(), what `change` refuses,
  // invalid_argument, and the log's errors.
  using Change = std::function<Result<Topic>(Topic)>;
  Task<Result<Topic>> alter(std::string name, TopicId id, Change change, MonotonicTime deadline);
  // unknown_topic: also when the topic of that name is meanwhile another one.
  Task<Result<void>> remove(std::string name, TopicId id, MonotonicTime deadline);

 private:
  // Waits for the turn, which is to be given back: turn_.unlock(). overloaded: it did not come until then;
  // shutting_down: the server stops, and does not make all that waits first.
  Task<Result<void>> take_turn(MonotonicTime deadline);
  Task<Result<void>> replay();
  [[nodiscard]] Result<void> replay_entries(std::span<const std::byte> entries);
  void replay_change(const TopicChange& change);
  Task<Result<void>> reconcile();
  Task<Result<void>> create_locked(Topic topic, MonotonicTime deadline);
  Task<Result<Topic>> alter_locked(std::string name, TopicId id, Change change, MonotonicTime deadline);
  Task<Result<void>> remove_locked(std::string name, TopicId id, MonotonicTime deadline);
  // The topic that is still this one; unknown_topic.
  [[nodiscard]] Result<const Topic*> find(const std::string& name, TopicId id) const;
  Task<Result<void>> make_groups(const Topic& topic);
  Task<Result<void>> remove_groups(const Topic& topic);
  Task<Result<void>> record(const TopicChange& change, MonotonicTime deadline);
  // Brings a change into every shard's table.
  Task<void> publish(const TopicChange& change);

  ShardContext& context_;
  Mutex turn_;  // one change at a time
  GroupId next_group_{1};
};

}  // namespace millrace
