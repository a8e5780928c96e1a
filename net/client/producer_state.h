// ProducerState: what Producer and its batches on their way share.
#pragma once

#include <coroutine>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/batch_builder.h"
#include "engine/base/compression.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/reactor/wait.h"
#include "net/client/producer.h"

namespace millrace {

class ProducerState : public std::enable_shared_from_this<ProducerState> {
 public:
  ProducerState(Client& client, ProducerOptions options, Producer::OnDelivery on_delivery);

  // Before the first topic; nothing to do when there is an id, or none is wanted.
  Task<Result<void>> take_id();
  ProducerTopic add_topic(std::string name, std::uint32_t partitions);
  [[nodiscard]] std::optional<ProducerTopic> find_topic(std::string_view name) const;

  Result<std::uint64_t> append(ProducerTopic topic, std::uint32_t partition, const RecordView& record);
  [[nodiscard]] std::uint32_t choose_partition(ProducerTopic topic, const RecordView& record) const;
  Task<Result<void>> room();
  Task<Result<Offset>> send(ProducerTopic topic, std::uint32_t partition, RecordView record);
  Task<Result<void>> flush();
  void close();
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] static Error gone();

  [[nodiscard]] Client& client() { return client_; }
  [[nodiscard]] const ProducerStatistics& statistics() const { return statistics_; }
  [[nodiscard]] std::uint64_t buffered_bytes() const { return buffered_; }

 private:
  using Self = std::shared_ptr<ProducerState>;
  class SendWait;
  using Waits = std::deque<SendWait*>;
  class FlushWait;

  // A batch that takes no more records.
  struct Sealed {
    Result<Slice> batch;      // an error when it could not be compressed
    std::uint64_t bytes = 0;  // that it counts for in buffered_
    std::uint64_t record_bytes = 0;
    std::uint64_t first = 0;
    std::uint32_t count = 0;
    std::uint64_t round = 0;  // of flushes
    MonotonicTime sealed_at{};
    MonotonicTime due{};  // once it is on the way
    ProducerStamp stamp{};
    bool again = false;        // to be sent again when all others on the way have been answered
    bool out_of_step = false;  // because the server misses one before it: this one is not in the log
    // Why nobody knows whether an earlier attempt got into the log.
    std::optional<Error> unknown{};
  };
  using Place = std::list<Sealed>::iterator;
  struct Topic;
  struct Partition {
    Topic& topic;
    std::uint32_t number;
    std::optional<RecordBatchBuilder> open;  // there while it has records
    std::uint64_t open_bytes = 0;            // of the keys and values in it
    std::uint64_t next = 0;                  // number of the next record appended
    std::uint32_t size_expected;
    std::list<Sealed> ready;       // sealed, not yet on their way
    std::list<Sealed> on_the_way;  // in order; none leaves its place before its fate is known
    std::uint32_t sending = 0;     // of those on the way: the ones that wait for their answer
    ProducerStamp stamp{};         // of the next batch; id -1: not idempotent
    bool begins_epoch = false;     // a batch has failed, so the ones behind it need other sequence numbers
    bool gave_up = false;          // in this epoch, a batch's fate was reported as unknown: it may come late
    bool resuming = false;         // a task will send again
    Duration pause{0};             // before it does; grows until a batch is delivered
    MonotonicTime delivered_at{};  // when one was, last
    bool departing = false;        // a task will seal what is open
    Waits waits;                   // in the order of their records
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;  // as many as it will ever have, so they stay put
    std::uint32_t sticky = 0;           // where records without a key go now
  };

  // Null when there is none.
  [[nodiscard]] Partition* find(ProducerTopic topic, std::uint32_t number);
  [[nodiscard]] RecordBatchBuilder make_builder(std::uint32_t size_max, std::uint32_t size_expected);
  [[nodiscard]] Result<void> append_large(Partition& partition, const RecordView& record,
                                          std::int64_t timestamp);
  [[nodiscard]] Error no_memory();
  [[nodiscard]] std::int64_t wall_milliseconds();

  void seal(Partition& partition);
  void fit(Slice& batch);
  void put_ready(Partition& partition, RecordBatchBuilder& builder, std::uint64_t first,
                 std::uint64_t record_bytes);
  void launch(Partition& partition);
  static Task<void> depart(Self self, Partition& partition);
  void send_off(Partition& partition, Place batch);
  static Task<void> deliver(Self self, Partition& partition, Place batch);
  void finish(Partition& partition, Place place, Result<Produced> result);
  void tell(Partition& partition, const Sealed& batch, const Result<Produced>& result);
  void go_on(Partition& partition);

  // producer_again.cpp
  [[nodiscard]] static bool is_behind_doubt(const Partition& partition, const Sealed& batch);
  [[nodiscard]] bool wants_again(const Partition& partition, Sealed& batch, const Error& error) const;
  [[nodiscard]] static bool is_smooth(const Partition& partition);
  static Task<void> resume(Self self, Partition& partition);
  Task<Result<void>> begin_epoch(Partition& partition);
  void fail_all(Partition& partition, const Error& error);
  [[nodiscard]] MonotonicTime due(const Partition& partition, const Sealed& batch) const;
  void count(const Sealed& batch, const Result<Produced>& result, Duration latency);

  Client& client_;
  Reactor& reactor_;
  ProducerOptions options_;
  Producer::OnDelivery on_delivery_;
  ProducerStatistics statistics_;
  std::vector<std::unique_ptr<Topic>> topics_;
  std::uint64_t buffered_ = 0;
  bool pool_empty_ = false;
  bool closed_ = false;
  std::int64_t id_ = -1;          // -1: not idempotent, or not asked for yet
  std::optional<Error> stopped_;  // by the first failure, with AfterFailure::stop
  std::int64_t wall_ms_ = 0;
  MonotonicTime wall_read_at_{k_never};
  WaitQueue changed_;  // a batch has met its fate
  // Batches sealed and not finished, by round of flushes; the front is first_round_.
  std::deque<std::uint64_t> outstanding_{0};
  std::uint64_t first_round_ = 0;
  std::vector<FlushWait*> flushes_;
  std::optional<Error> first_error_;  // that no flush has heard of
  Compressor compressor_;             // of all batches
};

}  // namespace millrace
