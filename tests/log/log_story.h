// LogStory: a node's logs in simulation, and what the test knows must be in them.
//
//   LogStory story(seed);
//   story.run([&](LogStory::Logs& logs) -> Task<void> { co_await story.append(logs, GroupId{1}, 100); });  //
//   ends cleanly story.run_until_cut(script, events);   // power fails after so many events of the world
//   story.expect_everything();             // starts again and compares every group with what was
//   acknowledged
#pragma once

#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/log/open_node.h"
#include "engine/log/shard_log.h"
#include "engine/reactor/sim_world.h"
#include "engine/reactor/wait.h"

namespace millrace::test {

template <class T>
void expect_ok(const Result<T>& result) {
  EXPECT_TRUE(result.has_value()) << result.error().message;
}

// The group of stories that need only one.
inline constexpr GroupId k_group{1};

// One batch of one record of `size` bytes that begins with `id`; in place when `in_place` (at offset 48 of a
// buffer of its own).
Slice make_batch(BufferPool& pool, std::uint64_t id, std::uint32_t size, bool in_place,
                 std::int64_t timestamp = 1);

using LogRecords = std::map<std::int64_t, std::uint64_t>;  // offset -> id

// A suffix that is cut off: all of it, or nothing.
struct LogCut {
  std::int64_t end = 0;
  LogRecords suffix;
  std::uint32_t start = 0;  // SimNode::starts(); only a later one knows what became of it
};

class LogStory {
 public:
  // The logs of all shards of the running node.
  struct Logs {
    Reactor& reactor;  // of shard 0
    std::vector<std::unique_ptr<ShardLog>> shards;
    OpenedNode node;
    [[nodiscard]] ShardLog& of(GroupId group) const {
      return *shards[shard_of(group, static_cast<std::uint32_t>(shards.size())).value()];
    }
  };
  using Script = std::function<Task<void>(Logs&)>;
  enum class End : std::uint8_t { clean, abandoned };

  explicit LogStory(std::uint64_t seed, SimOptions options = {});

  // ---- the node -----------------------------------------------------------------
  NodeOptions node_options;
  ShardLogOptions log_options;
  LogSettings settings;  // of new groups, which keep them
  [[nodiscard]] SimWorld& world() { return world_; }
  [[nodiscard]] SimDisk& disk() { return node_.disk(); }
  [[nodiscard]] SimNode& node() { return node_; }

  // Starts the node, runs the script on shard 0, and stops it: cleanly, or by killing the process. Gives
  // the error of the start or the stop, if any.
  Result<void> run(const Script& script, End end = End::clean);
  // The same, but the power fails after `events` events of the world, wherever the script is then.
  void run_until_cut(const Script& script, std::uint64_t events, SimCut cut = SimCut::by_seed);
  // The same with a kill; what it has in flight has landed on return. False when the script and the stop had
  // ended before.
  bool run_until_kill(const Script& script, std::uint64_t events);
  // Of a process that was killed; until then it holds the lock.
  void let_writes_land();
  // What the last start noted (OpenedNode::notes) and whether it found a clean stop.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] bool found_clean() const { return found_clean_; }

  // ---- verbs of scripts; they note what they learn --------------------------------
  Task<Result<void>> create(Logs& logs, GroupId group);
  Task<Result<Appended>> append(Logs& logs, GroupId group, std::uint32_t size,
                                AckLevel level = AckLevel::durable);
  // The same, durable, and must succeed; counts itself in `done` then.
  Task<void> append_counted(Logs& logs, GroupId group, std::uint32_t size, int& done);
  // Appends with a commit that takes long, so that what is appended meanwhile gathers behind it and the next
  // one, which starts beside it.
  Task<void> begin_a_slow_commit(Logs& logs, Gate& gate, GroupId group);
  Task<Result<void>> trim(Logs& logs, GroupId group, Offset offset);
  // Not before a trim. CHECKs that nothing else is done to the group; what begins meanwhile is refused as
  // `cancelled`, and so is all that comes after a cut of unknown outcome, until somebody looks after a
  // restart.
  Task<Result<void>> truncate(Logs& logs, GroupId group, Index last);
  Task<Result<void>> remove(Logs& logs, GroupId group);
  // Reads the group from its start to its end: every record that was acknowledged is at its offset, in order,
  // none twice; every record that any reader saw before is still there; nothing is there that nobody appended
  // or that was cut off; the start is not beyond what trims and retention may take. Gives the error of a
  // refused read, having compared nothing.
  Task<Result<void>> look(Logs& logs, GroupId group);
  // The same, and a refusal is a failure.
  Task<void> expect_group(Logs& logs, GroupId group);
  Task<void> expect_groups(Logs& logs);

  // Starts, compares everything, stops cleanly.
  void expect_everything();

  // ---- what is known ------------------------------------------------------------
  using Records = LogRecords;
  struct Seen {
    std::int64_t offset = 0;
    std::uint64_t id = 0, index = 0;
  };
  struct Known {
    LogSettings settings;
    Records acknowledged;                              // also what a reader has seen
    std::map<std::uint64_t, std::uint32_t> attempted;  // id -> size; without those that were cut off
    std::map<std::uint64_t, MonotonicTime> asked;      // id -> when its append was asked for
    std::map<std::int64_t, std::uint64_t> indexes;     // offset -> index, of those acknowledged
    std::int64_t start = 0;
    std::int64_t start_asked = 0;
    std::uint64_t trimmed_at = 0;  // the last index when a trim was last asked for, or a later one
    std::optional<LogCut> cut;     // under way, or of unknown outcome
    bool created = false, removed = false, may_exist = false;
    std::uint32_t busy = 0;  // verbs under way that a cut would meet
  };
  std::map<GroupId, Known> groups;
  std::uint64_t appended = 0;

 private:
  void start(const Script& script, End end);
  void run_for_events(const Script& script, std::uint64_t events);
  Task<void> main(Reactor& reactor, Script script, End end);
  Task<Result<void>> start_logs(Logs& logs);
  static void resolve_cut(Known& known, const LogView& view);
  static void compare(Known& known, const Records& acknowledged, const LogView& view,
                      const std::vector<Seen>& records);
  SimWorld world_;
  SimNode& node_;
  Result<void> outcome_;
  std::vector<std::string> notes_;
  bool found_clean_ = false;
  std::uint32_t started_ = 0;  // shards
  std::uint64_t next_id_ = 1;
};

}  // namespace millrace::test
