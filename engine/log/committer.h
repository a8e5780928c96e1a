// Committer: group commit. What all groups have gathered leaves in one journal write, with the extents that
// go straight to segments.
//
//   gather (append, add_records) -> seal: a Commit with place and sequence -> its writes in flight -> done
//                                      -> complete: it and all before it are done -> groups durable, waiters
//                                      answered
//
// While a commit is in flight, arrivals gather; when it completes, all of them leave in the next. A second
// one starts beside it only when k_pipeline_bytes have gathered. No timer, but one: k_idle_commit after the
// last commit an empty one follows, so that only the very last write before a power cut is ever ambiguous.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/log/entry_cache.h"
#include "engine/log/journal.h"
#include "engine/log/log_context.h"
#include "engine/log/mover.h"

namespace millrace {

class Committer {
 public:
  Committer(LogContext& context, Journal& journal, Mover& mover, EntryCache& cache, std::uint64_t start_id,
            std::uint32_t journal_number);

  void start();
  // Returns when everything gathered has completed (or failed) and nothing runs any more; an empty commit
  // comes last.
  Task<void> stop();

  // The group has new gathered entries.
  void touch(const GroupRef& group);
  // Adds journal records to the next commit, before its entries; returns its sequence. Those of a checkpoint
  // may have the last of the ring: they are what makes room in it.
  enum class RecordsOf : std::uint8_t { group, checkpoint };
  Sequence add_records(const std::vector<JournalRecord>& records, RecordsOf whose = RecordsOf::group);
  // Returns when that commit is complete; the error of a failed log otherwise.
  Task<Result<void>> wait_complete(Sequence sequence);

  // Woken when commits have completed, and at stop.
  [[nodiscard]] WaitQueue& progress() { return completed_; }
  [[nodiscard]] Sequence next_sequence() const { return journal_.next_sequence(); }
  // A checkpoint has made room in the journal.
  void room_made() { retry(); }
  // Bytes of the journal that entries may not use, so that votes and cuts find room, and those that only
  // checkpoints may use.
  [[nodiscard]] std::uint64_t reserve() const;
  [[nodiscard]] std::uint64_t checkpoint_reserve() const;

 private:
  struct Commit;
  struct Selection;
  Task<void> run();
  Task<void> run_idle();
  Task<void> finish(std::shared_ptr<Commit> commit);
  // What could not be sealed may find room or memory now.
  void retry() {
    work_.wake_one();
    room_.wake_one();
  }
  [[nodiscard]] bool has_work() const { return !touched_.empty() || !records_.empty() || want_empty_; }
  [[nodiscard]] bool may_seal() const;
  // False if the ring has no room or the pool no memory; everything is as it was.
  bool seal();
  [[nodiscard]] RecycledVector<Selection> select(std::uint64_t& bound) const;
  void take_journaled(Commit& commit, Group& group, std::size_t count);
  [[nodiscard]] bool take_direct(Commit& commit, Group& group, std::size_t count);
  void submit(const std::shared_ptr<Commit>& commit);
  void complete(Commit& commit);

  LogContext& context_;
  Journal& journal_;
  Mover& mover_;
  EntryCache& cache_;
  std::uint64_t start_id_;
  std::uint32_t journal_number_;

  std::vector<GroupRef> touched_;  // groups with gathered entries, who waits longest first
  std::uint64_t gathered_bytes_ = 0;
  std::vector<std::byte> records_;  // encoded
  std::uint32_t record_count_ = 0;
  bool of_checkpoint_ = false;  // some of them
  bool want_empty_ = false;
  bool last_was_empty_ = true;
  bool stopping_ = false;
  MonotonicTime last_completion_{};
  RecycledDeque<std::shared_ptr<Commit>> in_flight_;
  std::vector<Piece> pieces_;  // of the extents that are being sealed
  Sequence complete_through_;
  WaitQueue work_;
  WaitQueue room_;  // waited for instead when there is work, and no room for it
  WaitQueue completed_;
  WaitQueue idle_;
  Gate gate_;
};

}  // namespace millrace
