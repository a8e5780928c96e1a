// RecoveryStory: a data folder put together byte by byte, and what a start makes of it.
//
//   RecoveryStory story;
//   auto& journal = story.journal();
//   auto& log = story.group(7);                 // state of the group in the checkpoint that every journal
//   begins with journal.entry(log.append("a")).commit();    // commit 3: one entry journal.commit(); //
//   commit 4: empty, calls commit 3 complete story.write();                              // onto the
//   simulated disk, durable story.flip_commit(Sequence{3});             // damage auto opened = story.open();
//   // open_node(), and every entry read back
#pragma once

#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/entry_header.h"
#include "engine/log/data_folder.h"
#include "engine/log/identity.h"
#include "engine/log/journal_format.h"
#include "engine/log/open_node.h"
#include "engine/log/segment_format.h"
#include "engine/reactor/sim_world.h"

namespace millrace::test {

inline constexpr const char* k_folder = "data";
inline constexpr std::uint64_t k_journal_size = 1_MiB;

struct TestEntry {
  EntryHeader header;
  std::string bytes;  // header and payload, without padding
  [[nodiscard]] std::string padded() const;
};

// What is appended to a group, with the right chain, and the segments it is put into.
class TestLog {
 public:
  explicit TestLog(GroupId group) : id(group) {}
  // An internal entry with this payload (the payload of a batch would have to be one).
  TestEntry append(const std::string& payload, EntryType type = EntryType::configuration);
  // A trim entry.
  TestEntry trim(LogStart start);

  // Puts entries into the segment that begins with `first`, as one extent; makes the segment if there is
  // none. Gives the record that describes the extent.
  ExtentRecord put(Index first, const std::vector<TestEntry>& entries);
  // Makes the segment without an entry in it, going on at the log's end.
  void open_segment();
  // The state that is true when everything up to the last extent is in segments.
  [[nodiscard]] GroupStateRecord state() const;

  GroupId id;
  LogEnd end;
  Term term{1};
  LogEnd placed;
  SegmentEnd segment;
  std::map<Index, std::string> segments;  // by first index: bytes of the file
  std::vector<TestEntry> entries;         // all that were ever appended
};

class TestJournal {
 public:
  TestJournal(std::uint64_t start_id, std::uint32_t number, std::vector<std::uint32_t> files);
  TestJournal& add(GroupId group, JournalRecordBody body);
  TestJournal& entry(const TestEntry& entry);
  TestJournal& checkpoint_end(CheckpointEndRecord end) { return add(GroupId{0}, end); }
  // Ends the commit. It calls everything before it complete, or everything up to `complete_through`.
  Sequence commit(std::optional<Sequence> complete_through = std::nullopt);
  // The next commit goes to the next file.
  void skip_to_next_file();
  // The next commit takes this sequence.
  void skip_to(Sequence sequence) { next_ = sequence; }
  [[nodiscard]] Sequence next_sequence() const { return next_; }

  struct Place {
    std::uint32_t file = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  std::map<Sequence, Place> places;
  std::map<std::uint32_t, std::string> files;  // by id
  std::uint64_t start_id;
  std::uint32_t number;
  std::vector<std::uint32_t> ring;
  std::uint64_t position = 0;

 private:
  std::vector<std::string> records_;
  Sequence next_{1};
};

// What open_node() gave, and what stands in the groups' segments then.
struct Opened {
  Identity identity;
  std::vector<JournalStart> journals;
  std::map<GroupId, RecoveredGroup> groups;
  std::map<GroupId, std::vector<std::string>> payloads;  // from the first entry of the first segment on
  bool created = false;
  bool clean = false;
  std::vector<std::string> notes;
};

class RecoveryStory {
 public:
  explicit RecoveryStory(std::uint64_t seed = 1);

  NodeOptions options;
  Identity identity;  // of what write() writes
  [[nodiscard]] SimDisk& disk() { return node_.disk(); }
  [[nodiscard]] SimNode& node() { return node_; }
  [[nodiscard]] SimWorld& world() { return world_; }

  // The journals of the identity; each begins with a whole checkpoint once begin() has been called.
  TestJournal& journal(std::uint32_t number = 0) { return *journals_.at(number); }
  void add_journal();
  TestLog& group(std::uint64_t id);
  // Commits 1 and 2 of each journal: the states of all groups so far, by shard, and an empty commit.
  void begin();
  // Everything, onto the disk.
  void write();

  void flip(const std::string& path, std::uint64_t position) { disk().flip(path, position); }
  // Damages a commit's last byte that is not padding, or its header.
  void flip_commit(Sequence sequence, std::uint32_t journal = 0);

  Result<Opened> open();
  // Opens, expects it to work, and gives what it gave.
  Opened expect_open();
  // Opens, expects this error with a message that contains `part`, and that nothing on the disk changed.
  void expect_refused(ErrorCode code, const std::string& part);
  // Runs a task of the test's own on the node.
  void run(SimMain main);

  // Names and bytes of everything but the lock.
  [[nodiscard]] std::map<std::string, std::string> content();

  DataFolder folder{k_folder};

 private:
  void make_folder(const std::string& path);
  SimWorld world_;
  SimNode& node_;
  std::vector<std::unique_ptr<TestJournal>> journals_;
  std::map<std::uint64_t, std::unique_ptr<TestLog>> groups_;
};

// Reads back every entry of an opened group.
Task<Result<std::vector<std::string>>> read_payloads(Reactor& reactor, DataFolder folder,
                                                     RecoveredGroup group);

}  // namespace millrace::test
