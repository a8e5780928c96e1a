// Producer: gathers records into batches and keeps several batches a partition on their way.
//
//   append -> in the open batch -> sealed -> sent (in order, at most batches_in_flight_max a partition) ->
//   delivered or failed
//
// When a batch leaves: at once when it is full; otherwise at the end of the turn in which its partition has
// nothing on the way, so that records appended while a batch is on the way gather and leave together (group
// commit, without a timer). `linger` makes an idle partition wait that long for more.
//
// What is promised of a batch: it stands in the log at most once, but for the exception below, and the
// callback hears its fate exactly once. Batches of a partition that are delivered stand in the log in the
// order of append().
//
// A batch whose connection broke, or whose server stopped, is sent again until its timeout: the server knows
// it by the producer's id, epoch and sequence number in it, and does not store it twice (idempotent
// producer). Only when the timeout has passed, or no connection could be made with all of the client's
// patience, is it reported with connection_lost or timed_out, which means *unknown*: it may or may not be in
// the log. The same where idempotence is off: then nothing is ever sent twice. What the server refuses is
// reported at once; the batches behind it follow, under the next epoch.
//
// The exception: the first batch of an epoch cannot be told from a new producer's. Sent again, it is stored
// twice, and reported as delivered, if so many others have written to the partition meanwhile that this one
// has been forgotten: k_producers_max, fewer where a shard has thousands of partitions. So keep a Producer
// for as long as there is something to write; a new one begins with such a batch on each partition.
//
//             +------------ again, in order, when all of the partition's have been answered --------+
//             v                                                                                     |
//   sealed -> on the way -> answered -> delivered, or failed (and the next epoch begins)            |
//             |                                                                                     |
//             +-> no answer, or refused for a batch before it -------------------------------------+
//
//   Producer producer(client, {}, [](const Delivery& delivery) { if (!delivery.result) ... });
//   auto topic = co_await producer.open("events");
//   for (...) {
//     auto taken = producer.append(*topic, {.key = key, .value = value});
//     if (!taken && taken.error().code == ErrorCode::overloaded) { co_await producer.room(); ...again... }
//   }
//   auto flushed = co_await producer.flush();
//
// A Producer belongs to its client's reactor. The client must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/histogram.h"
#include "engine/base/limits.h"
#include "engine/base/record_batch.h"
#include "engine/base/record_reader.h"
#include "engine/base/time.h"
#include "engine/reactor/task.h"
#include "net/client/client.h"
#include "net/client/types.h"

namespace millrace {

enum class Timestamps : std::uint8_t {
  now,       // append() stamps each record with the wall clock, read once a turn
  as_given,  // RecordView::timestamp is what the record gets
};

enum class AfterFailure : std::uint8_t {
  go_on,  // later batches are sent all the same
  stop,   // what was not yet sent fails with `cancelled`, and append() with it
};

struct ProducerOptions {
  Acks acks = Acks::durable;
  Codec codec = Codec::none;  // none, lz4 or zstd
  Timestamps timestamps = Timestamps::now;
  // A batch is full at this size (before compression), at least k_batch_size_target_min; a larger record gets
  // a batch of its own, up to k_batch_size_max.
  std::uint32_t batch_bytes = k_batch_size_target;
  // A partition; an idempotent producer takes k_producer_batches_kept at most.
  std::uint32_t batches_in_flight_max = k_producer_batches_kept;
  // Send again what may have been lost, without storing it twice. Not with Acks::none, where nobody hears
  // what was lost.
  bool idempotent = true;
  Duration linger{0};
  // Bytes of batches gathered or on their way, over all partitions; append() refuses beyond.
  std::uint64_t buffered_bytes_max = 32u << 20;
  // Of a batch, from being sealed, or from the last delivery of its partition before it was sent, so that
  // those behind others on a slow way have theirs, too. 0: ClientOptions::request_timeout.
  Duration timeout{0};
  AfterFailure after_failure = AfterFailure::go_on;

  friend bool operator==(const ProducerOptions&, const ProducerOptions&) = default;
};

// The fate of one batch. Everything in it is valid during the callback alone.
struct Delivery {
  std::string_view topic;
  std::uint32_t partition = 0;
  std::uint64_t first = 0;  // what append() returned for its first record; the others follow by one
  std::uint32_t count = 0;  // records
  // As it was sent, so with base offset 0; decode_batch_header() and RecordReader read it.
  ByteView batch;
  const Result<Produced>& result;
  Duration latency{0};  // from being sealed to here
};

struct ProducerStatistics {
  std::uint64_t records = 0;       // appended
  std::uint64_t record_bytes = 0;  // of their keys and values
  std::uint64_t records_delivered = 0;
  std::uint64_t record_bytes_delivered = 0;
  std::uint64_t records_failed = 0;   // refused by the server, or never sent
  std::uint64_t records_unknown = 0;  // sent, and never answered
  std::uint64_t batches = 0;          // sealed
  std::uint64_t batches_again = 0;    // sent once more
  std::uint64_t batch_bytes = 0;      // as sent
  Histogram latency;                  // nanoseconds from sealed to delivered, one value a batch
};

// A topic that a producer has looked up. Valid with that producer alone.
struct ProducerTopic {
  std::uint32_t number = 0;
  std::uint32_t partitions = 0;
};

class Producer {
 public:
  using OnDelivery = std::move_only_function<void(const Delivery&)>;

  explicit Producer(Client& client, ProducerOptions options = {}, OnDelivery on_delivery = {});
  // Drops what was not sent; nothing is called back any more, and who waits in a verb hears `cancelled`: in
  // open() when the server has answered.
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // Looks up how many partitions the topic has; the first one asks for the producer's id, too. unknown_topic,
  // and what Client's verbs give.
  Task<Result<ProducerTopic>> open(std::string topic);

  // Takes a copy of the record and returns its number among those that this producer appended to the
  // partition, from 0. Never waits. Errors, with nothing taken: overloaded (buffered_bytes_max or the
  // reactor's buffers are used up: wait in room()), record_too_large (for k_batch_size_max), invalid_argument
  // (no such partition), cancelled (after a failure, with AfterFailure::stop).
  Result<std::uint64_t> append(ProducerTopic topic, std::uint32_t partition, const RecordView& record);
  // Chooses the partition: by the key's murmur2 (engine/base/murmur2.h) as Kafka's Java client does; without
  // a key, one partition until its batch is full, then the next.
  Result<std::uint64_t> append(ProducerTopic topic, const RecordView& record);
  [[nodiscard]] static std::uint32_t partition_of(ByteView key, std::uint32_t partitions);

  // Returns when append() has room again. overloaded when there is nothing on the way whose end could make
  // any.
  Task<Result<void>> room();

  // append() and the wait for that record's batch. Returns the record's offset (-1 with Acks::none).
  Task<Result<Offset>> send(ProducerTopic topic, std::uint32_t partition, const RecordView& record);

  // Sends what is gathered, and returns when everything appended before has met its fate. The error is the
  // first one of it that no earlier flush has heard of; of several at a time, each hears of what it waits
  // for. Each batch's own was called back.
  Task<Result<void>> flush();

  [[nodiscard]] const ProducerStatistics& statistics() const;
  [[nodiscard]] std::uint64_t buffered_bytes() const;

 private:
  std::shared_ptr<class ProducerState> state_;
};

}  // namespace millrace
