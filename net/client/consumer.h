// Consumer: follows partitions from given offsets and yields their records one by one.
//
//   Consumer consumer(client, {});
//   consumer.follow({"events", 0}, Offset{0});
//   for (;;) {
//     while (const ConsumedRecord* record = consumer.next()) use(*record);
//     auto more = co_await consumer.wait();
//     if (!more) ...;
//   }
//
// next() never waits: it decodes what has come. Meanwhile each partition fetches ahead by up to
// `fetches_ahead` answers, so decoding, network and server work at the same time. Records of one partition
// come in order, without gaps but those that trimming made; between partitions there is no order.
//
// Each entry's header checksum and each batch's CRC are verified before a record of it is shown. Batches
// compressed with lz4 and zstd are decoded; gzip and snappy end the partition with unsupported_compression. A
// fetch that fails for want of a connection is repeated (fetching changes nothing), until `patience` is over.
//
// A Consumer belongs to its client's reactor. The client must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/record_reader.h"
#include "engine/base/time.h"
#include "engine/reactor/task.h"
#include "net/client/client.h"
#include "net/client/types.h"

namespace millrace {

struct ConsumerOptions {
  std::uint32_t fetch_bytes = 1u << 20;  // asked for at a time, a partition
  std::uint32_t fetch_min_bytes = 1;
  Duration fetch_wait = std::chrono::milliseconds(500);  // how long the server waits for fetch_min_bytes
  std::uint32_t fetches_ahead = 2;                       // answers kept a partition
  // Of fetched answers, over all partitions, about: with many partitions each fetch asks for less.
  std::uint64_t buffered_bytes_max = 64u << 20;
  // How long fetches that fail with a retryable error or a lost connection are repeated before wait() reports
  // it.
  Duration patience = std::chrono::seconds(30);
};

// Views are valid until the next call of next() or wait().
struct ConsumedRecord {
  std::string_view topic;
  std::uint32_t partition = 0;
  RecordView record;  // with the offset in the partition
};

struct PartitionProgress {
  Offset next_offset{0};    // of the record that next() gives after those it gave
  Offset log_start{0};      // as the last answer said; next_offset before there was any
  Offset committed_end{0};  // the same
};

class Consumer {
 public:
  // Hears once when fetches begin to fail and are repeated, with the first one's reason, and once when all
  // partitions have succeeded again, with null. It must not destroy the consumer.
  using OnOutage = std::move_only_function<void(const Error* reason)>;

  explicit Consumer(Client& client, ConsumerOptions options = {}, OnOutage on_outage = {});
  ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  // Starts to fetch. A partition is followed once.
  void follow(PartitionName partition, Offset from);
  // Stops fetching; what was fetched and not yet given by next() is dropped.
  void unfollow(const PartitionName& partition);

  // The next record, or nullptr when nothing decoded is there or a partition has failed: then wait() says
  // more.
  [[nodiscard]] const ConsumedRecord* next();

  // Returns when next() has something to decode, or with the error of a partition, which ends that partition
  // alone: offset_out_of_range, unknown_topic, corruption, corrupt_batch, unsupported_compression, or the
  // last error after `patience`. timed_out at the deadline. invalid_argument when no partition is followed
  // any more.
  Task<Result<void>> wait(MonotonicTime deadline = k_never);

  // Nothing for a partition that is not followed.
  [[nodiscard]] std::optional<PartitionProgress> progress(const PartitionName& partition) const;

 private:
  std::shared_ptr<class ConsumerState> state_;
};

}  // namespace millrace
