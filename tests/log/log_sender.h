// LogSender: an idempotent producer of one group of a LogStory. It outlives the node: what was sent and not
// answered when the process ended is sent again, as it was.
//
//   LogSender sender(story, 1, GroupId{3});
//   co_await sender.send(logs, {100, 90'000});   // two batches at once; returns when both have been answered
//   ...                                          // the power fails
//   co_await sender.send_again(logs);
//
// What it learns goes into the story's knowledge of the group, which then finds a record that stands there
// twice.
#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "engine/base/record_batch.h"
#include "tests/log/log_story.h"

namespace millrace::test {

class LogSender {
 public:
  // Of a story's senders, each has a number of its own, from 1: its producer id.
  LogSender(LogStory& story, std::uint64_t number, GroupId group)
      : story_(story), number_(number), group_(group) {
    next_.id = static_cast<std::int64_t>(number);
    next_.epoch = 0;
    next_.sequence = 0;
  }

  // Batches of one record of these sizes, at most k_producer_batches_kept.
  Task<void> send(LogStory::Logs& logs, std::vector<std::uint32_t> sizes);
  Task<void> send_again(LogStory::Logs& logs);

  [[nodiscard]] GroupId group() const { return group_; }
  // The log has refused a batch, because the group was deleted: there is nothing more to do.
  [[nodiscard]] bool ended() const { return ended_; }
  // Batches that were answered, and those of them that the log had known.
  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  [[nodiscard]] std::uint64_t duplicates() const { return duplicates_; }

  // Leaves out who sends: then the log stores what is sent again twice.
  bool anonymous = false;

 private:
  struct Sent {
    ProducerStamp stamp;
    std::uint64_t record = 0;
    std::uint32_t size = 0;
  };
  using Place = std::list<Sent>::iterator;
  Task<void> deliver(LogStory::Logs& logs, Place sent);

  LogStory& story_;
  std::uint64_t number_;
  GroupId group_;
  ProducerStamp next_;
  std::list<Sent> unanswered_;  // in order
  bool ended_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t duplicates_ = 0;
};

// A batch of one record, with who sent it.
Slice make_stamped_batch(BufferPool& pool, const ProducerStamp& stamp, std::uint64_t record,
                         std::uint32_t size);

}  // namespace millrace::test
