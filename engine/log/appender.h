// Appender: takes entries into a group's log. Admission, then index, offset, chain and term, then the
// committer.
#pragma once

#include "engine/log/committer.h"
#include "engine/log/log_context.h"
#include "engine/log/segment_maker.h"

namespace millrace {

struct NewEntry {
  EntryType type = EntryType::batch;
  Slice payload;  // bytes 64.. of the entry
  bool in_place = false;
  std::uint32_t offset_count = 0;
  std::int64_t max_timestamp = -1;
  ProducerStamp producer{};
};

class Appender {
 public:
  Appender(LogContext& context, Committer& committer) : context_(context), committer_(committer) {}

  // A checked RecordBatch as an entry; in place if it stands where it can be written from.
  [[nodiscard]] static NewEntry batch_entry(const Slice& batch, std::uint32_t offset_count);

  // See ShardLog::append. `who` decides about the last of the disk.
  Task<Result<Appended>> append(GroupRef group, NewEntry entry, AckLevel level, MonotonicTime deadline,
                                SpaceFor who);

 private:
  // Whether admit() has nothing to wait for, in an append that was not refused.
  [[nodiscard]] bool is_admitted(const Group& group, const NewEntry& entry) const;
  Task<Result<void>> admit(const GroupRef& group, const NewEntry& entry, MonotonicTime deadline,
                           SpaceFor who);
  [[nodiscard]] Result<std::optional<Offset>> find_original(const Group& group, const NewEntry& entry);
  Task<Result<Appended>> answer_duplicate(GroupRef group, Offset original, AckLevel level);
  void begin_term(const GroupRef& group);
  Appended assign(const GroupRef& group, NewEntry entry);
  Task<Result<void>> wait_durable(GroupRef group, Index index);

  LogContext& context_;
  Committer& committer_;
};

}  // namespace millrace
