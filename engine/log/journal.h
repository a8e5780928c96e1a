// Journal: the ring of files that a shard's commits go to. Knows places and room; what is in a commit is the
// committer's.
//
// position p lives in file ordinal p / file_size, which uses ring place ordinal % files. A commit never
// crosses the end of its file. A file is written again only when no commit in it is needed any more
// (release()).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "engine/log/log_context.h"

namespace millrace {

struct CommitPlace {
  File file;
  std::uint64_t offset = 0;    // in the file
  std::uint64_t position = 0;  // in the journal
  Sequence sequence{0};
};

class Journal {
 public:
  Journal(LogContext& context, const JournalStart& start, std::uint64_t file_size);

  // Opens the files, and fills in the background those that were only allocated.
  Task<Result<void>> open();
  // Waits for the filling under way to end early.
  Task<void> close();

  [[nodiscard]] Sequence next_sequence() const { return next_sequence_; }
  // Bytes that can be written before the ring is full, skipped ends of files included.
  [[nodiscard]] std::uint64_t room() const;
  // Whether a commit of `size` bytes has a place now. False also while the next file is still being filled.
  [[nodiscard]] bool has_place(std::uint64_t size) const;
  // The next place. has_place(size) must hold.
  [[nodiscard]] CommitPlace place(std::uint64_t size);
  // Commits before `replay_from` are not needed any more.
  void release(Sequence replay_from);
  // How many of the ring's files hold needed commits or the next place.
  [[nodiscard]] std::uint32_t files_in_use() const;
  [[nodiscard]] std::uint64_t file_size() const { return file_size_; }
  [[nodiscard]] std::uint64_t size() const { return file_size_ * ring_.size(); }
  // Woken when a file has been filled.
  [[nodiscard]] WaitQueue& filled() { return filled_; }

 private:
  struct Place {
    std::uint32_t id = 0;
    File file;
    bool ready = false;  // filled with written blocks
  };
  Task<void> fill();
  Task<Result<void>> fill_file(Place& place);
  [[nodiscard]] Place& ring_place(std::uint64_t ordinal) { return ring_[ordinal % ring_.size()]; }
  [[nodiscard]] const Place& ring_place(std::uint64_t ordinal) const { return ring_[ordinal % ring_.size()]; }
  [[nodiscard]] std::uint64_t place_for(std::uint64_t size) const;

  LogContext& context_;
  std::uint64_t file_size_;
  std::vector<Place> ring_;
  std::uint64_t position_;
  Sequence next_sequence_;
  // First sequence of each file ordinal in use, oldest first.
  struct FileUse {
    std::uint64_t ordinal = 0;
    Sequence first{0};
  };
  std::deque<FileUse> in_use_;
  WaitQueue filled_;
  Gate filling_;
  bool closing_ = false;
};

}  // namespace millrace
