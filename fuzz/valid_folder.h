// ValidFolder: a data folder that the product itself has written, and what must be in it.
//
// Two starts wrote it. The first made the groups, filled segments and sealed some; it was stopped. The second
// appended small and large batches and those of a producer, trimmed a group (which takes segments away and
// writes a checkpoint), made a group and deleted one; it ended in one of three ways. So the last batches
// stand in the journal alone, and, after a power cut, no later commit calls the last one complete.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/log/identity.h"
#include "fuzz/node_logs.h"

namespace millrace::fuzz {

inline constexpr GroupId k_small{1};     // small batches first, then large ones
inline constexpr GroupId k_large{2};     // batches that go straight to a segment
inline constexpr GroupId k_trimmed{3};   // many segments, of which the first are gone
inline constexpr GroupId k_produced{4};  // a producer's
inline constexpr GroupId k_deleted{5};   // gone with its folder
inline constexpr GroupId k_made{6};      // by the second start

// Bytes by path.
using Files = std::map<std::string, std::string>;
std::vector<std::string> paths_of(const SimDisk& disk);
Files files_of(const SimDisk& disk);

struct GroupState {
  LogStart start;
  LogEnd end;
  friend bool operator==(const GroupState&, const GroupState&) = default;
};
// How a group stood once its journal was complete up to `sequence`; nothing: it was not there.
struct Moment {
  Sequence sequence{0};
  std::optional<GroupState> state;
};
struct GroupHistory {
  std::vector<Moment> moments;           // of the second start, one after each step of it
  std::map<Index, std::string> entries;  // all that ever were, without padding
};

// A commit of the second start.
struct ValidCommit {
  struct Range {
    std::string path;
    std::uint64_t begin = 0, end = 0;
  };
  Sequence sequence{0}, complete_through{0};
  Range bytes;
  std::vector<Range> extents;           // that it describes
  std::optional<Sequence> replay_from;  // of the checkpoint that ends in it
};

struct ValidFolder {
  std::uint32_t shards = 1;
  SimDisk::Image image;
  Files files;
  // The same folder before: when the first start had ended, and in the midst of the second.
  Files last_start, earlier;
  Identity identity;
  std::vector<std::vector<ValidCommit>> journals;  // by sequence
  std::map<GroupId, GroupHistory> groups;
};

// What a machine with a folder as small as they get is started with.
void make_small(NodeMachine& machine);
// A batch of one record of this size; the timestamp is the id.
Slice make_batch(BufferPool& pool, std::uint64_t id, std::uint32_t size, const ProducerStamp& producer = {});

// Made when first asked for.
const ValidFolder& valid_folder(NodeMachine::End end, std::uint32_t shards);

}  // namespace millrace::fuzz
