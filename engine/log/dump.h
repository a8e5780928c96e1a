// Showing what a data folder holds: identity, commits with their records, segments with their entries.
//
// For people and scripts: each item has a kind, a place, and named fields in a fixed order. Nothing is
// decided or repaired, nothing is written, and no lock is taken: of a folder in use it shows a moment.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/reactor/reactor.h"

namespace millrace {

struct DumpOptions {
  bool journals = true;
  bool segments = true;
  bool all_commits = false;      // those of earlier starts, too
  std::optional<GroupId> group;  // commits with records of this one, and its records, segments and entries
};

using DumpValue = std::variant<std::string, std::uint64_t, std::int64_t, bool>;
struct DumpItem {
  // identity, commit, record, segment, entry, footer, or damage.
  std::string kind;
  std::string file;
  std::uint64_t position = 0;  // in the file
  std::vector<std::pair<std::string, DumpValue>> fields;
};
// "entry 00000000000000000001.segment:4096 index=1 term=1 ...": one line, without the folders of the file.
[[nodiscard]] std::string to_line(const DumpItem& item);

// Whether whoever takes the items wants more of them.
enum class DumpNext : std::uint8_t { go_on, stop };
using DumpSink = std::function<DumpNext(const DumpItem&)>;

// Damage is an item among the others; of a damaged commit nobody knows whose records it has, so it is shown
// for every group. Reads no further once the sink says `stop`, which is no error. Errors: wrong_folder,
// unsupported_version, io_error; not_found, after the last item, where neither the group nor damage was met.
Task<Result<void>> dump_folder(Reactor& reactor, std::string folder, DumpOptions options, DumpSink sink);

}  // namespace millrace
