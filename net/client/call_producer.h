// CallProducer: what BlockingClient::produce() appends with: one Producer, kept from call to call.
//
// A partition remembers k_producers_max producers, those that wrote last. With one for each call, a program
// with a thousand calls a second would soon make it forget everybody else, and the first batch of one that it
// has forgotten is stored twice when it is sent again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/record_reader.h"
#include "engine/reactor/task.h"
#include "net/client/producer.h"

namespace millrace {

class CallProducer {
 public:
  explicit CallProducer(Client& client) : client_(client) {}
  CallProducer(const CallProducer&) = delete;
  CallProducer& operator=(const CallProducer&) = delete;
  ~CallProducer() = default;

  // See BlockingClient::produce(). One call at a time. With other options than the last one, or after one
  // that has failed, a call begins with a new Producer.
  Task<Result<std::vector<Offset>>> produce(const PartitionName& to, std::span<const RecordView> records,
                                            const ProducerOptions& options);

 private:
  Task<Result<std::vector<Offset>>> try_produce(const PartitionName& to, std::span<const RecordView> records,
                                                const ProducerOptions& options);
  Task<Result<ProducerTopic>> open(const PartitionName& to, const ProducerOptions& options);
  void begin(const ProducerOptions& options);
  void note(const Delivery& delivery);

  Client& client_;
  ProducerOptions options_;
  std::optional<Producer> producer_;
  // Of the call under way; no batch of an earlier one is on its way then.
  std::uint64_t first_ = 0;  // the number of its first record
  std::vector<Offset> offsets_;
};

}  // namespace millrace
