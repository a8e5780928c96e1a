// LogReader: what readers of a group's log get: from memory while it is there, else from the segments.
#pragma once

#include "engine/log/cold_reader.h"
#include "engine/log/log_context.h"

namespace millrace {

class LogReader {
 public:
  explicit LogReader(LogContext& context) : context_(context), cold_(context), searching_(context.reactor) {}

  // See ShardLog.
  Task<Result<ReadResult>> read(GroupRef group, Offset from, std::uint64_t max_bytes, FirstEntry first);
  Task<Result<void>> wait_readable(GroupRef group, Offset from, std::uint64_t min_bytes,
                                   MonotonicTime deadline);
  Task<Result<ShardLog::OffsetAt>> offset_for_timestamp(GroupRef group, std::int64_t timestamp, Offset from,
                                                        MonotonicTime until);
  void end_searches() { searches_ended_ = true; }

  // The entry that holds the record at `offset`, or is the first after it; offset at most the durable end.
  Task<Result<Index>> index_of(GroupRef group, Offset offset);

  [[nodiscard]] ColdReader& cold() { return cold_; }

 private:
  Result<ReadResult> read_memory(const Group& group, Offset from, std::uint64_t max_bytes, FirstEntry first);
  Task<Result<Offset>> search_step(GroupRef group, std::int64_t timestamp, Offset from,
                                   std::optional<ShardLog::OffsetAt>& at);
  Task<Result<Offset>> where_to_search(GroupRef group, std::int64_t timestamp, Offset from);
  [[nodiscard]] Result<void> may_search() const;
  LogContext& context_;
  ColdReader cold_;
  Mutex searching_;  // one read of a search at a time, so that many hold no more memory than one
  bool searches_ended_ = false;
};

[[nodiscard]] LogView view_of(const Group& group);
[[nodiscard]] LogSize size_of(const Group& group);

}  // namespace millrace
