// ColdReader: entries that are no longer in memory, from their segments.
//
// Direct reads with our own read-ahead: a reader that goes on where its last read ended finds the next chunk
// already read or on its way.
#pragma once

#include <cstdint>
#include <list>
#include <optional>

#include "engine/log/log_context.h"

namespace millrace {

class ColdReader {
 public:
  explicit ColdReader(LogContext& context) : context_(context), prepared_(context.reactor) {}

  // Entries from the first that ends beyond `from` on, all of them before the group's tail. Every header, the
  // chain between them and every payload is verified: corruption names file and position. Reads hold at most
  // about twice max_bytes, and k_fetch_promise_min.
  Task<Result<ReadResult>> read(GroupRef group, Offset from, std::uint64_t max_bytes, FirstEntry first);

  // The segment's file, after it has learned what header and footer tell; a lost footer is made again from
  // the extents, by one of those who ask for it, while the others wait.
  Task<Result<File>> prepare(GroupRef group, SegmentRef segment);
  // The last segment that begins at or before `from`, prepared; the first one that readers may see if none
  // does, and null if there is none.
  Task<Result<SegmentRef>> find_segment(GroupRef group, Offset from);

  // Segments of the group were removed, or cut: forgets where its readers stand, and closes what was removed,
  // for an open file keeps its space.
  void forget(const Group& group);

 private:
  // Where a sequential reader stands.
  struct Cursor {
    GroupId group{0};
    Offset next{0};  // what it will ask for
    SegmentRef segment;
    File file;
    std::uint64_t position = 0;  // of the next entry, in the file
    std::optional<Index> last;   // of the entry before, for the chain
    std::uint64_t chain = 0;
    bool sequential = false;
    // The chunk on its way.
    std::uint64_t ahead_position = 0;
    std::uint64_t ahead_length = 0;
    Buffer ahead;
    std::optional<Operation<std::uint64_t>> reading;
  };
  struct Chunk {
    Buffer buffer;
    std::uint64_t position = 0;
    std::uint64_t length = 0;
  };
  struct Gathered;

  [[nodiscard]] std::optional<Cursor> take_cursor(GroupId group, Offset from);
  Task<Result<Cursor>> find(GroupRef group, Offset from);
  Task<Result<Cursor>> find_once(GroupRef group, Offset from);
  Task<Result<Chunk>> next_chunk(const Group& group, Cursor& cursor, std::uint64_t bytes_min,
                                 std::uint64_t bytes_max);
  void read_ahead(const Group& group, Cursor& cursor);
  [[nodiscard]] Result<void> gather(const Group& group, Cursor& cursor, const Chunk& chunk, Offset from,
                                    std::uint64_t max_bytes, FirstEntry first, Gathered& gathered);
  Task<Result<File>> open(GroupRef group, SegmentRef segment);
  Task<Result<void>> learn(GroupRef group, SegmentRef segment, File file);

  struct OpenFile {
    SegmentRef segment;
    GroupId group{0};
    File file;
  };
  LogContext& context_;
  std::list<Cursor> cursors_;  // most recently used first
  std::list<OpenFile> open_;   // the same
  std::vector<SegmentRef> preparing_;
  WaitQueue prepared_;  // one has left the list
};

}  // namespace millrace
