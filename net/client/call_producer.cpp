#include "net/client/call_producer.h"

#include <utility>

namespace millrace {

Task<Result<std::vector<Offset>>> CallProducer::produce(const PartitionName& to,
                                                        std::span<const RecordView> records,
                                                        const ProducerOptions& options) {
  auto offsets = co_await try_produce(to, records, options);
  // Neither what it has gathered and not sent, nor that it has stopped, is the next call's.
  if (!offsets) producer_.reset();
  co_return offsets;
}

Task<Result<std::vector<Offset>>> CallProducer::try_produce(const PartitionName& to,
                                                            std::span<const RecordView> records,
                                                            const ProducerOptions& options) {
  CO_TRY(const ProducerTopic topic, co_await open(to, options));
  offsets_.assign(records.size(), Offset{-1});
  for (std::size_t i = 0; i < records.size();) {
    const auto taken = producer_->append(topic, to.partition, records[i]);
    if (taken) {
      if (i++ == 0) first_ = *taken;
    } else if (taken.error().code == ErrorCode::overloaded) {
      CO_TRY_VOID(co_await producer_->room());
    } else {
      co_return fail(taken.error());
    }
  }
  CO_TRY_VOID(co_await producer_->flush());
  co_return std::exchange(offsets_, {});
}

Task<Result<ProducerTopic>> CallProducer::open(const PartitionName& to, const ProducerOptions& options) {
  if (!producer_ || options_ != options) begin(options);
  CO_TRY(ProducerTopic topic, co_await producer_->open(to.topic));
  if (to.partition >= topic.partitions) {
    // It may have been deleted and made again, with more, since that was looked up.
    begin(options);
    CO_TRY(topic, co_await producer_->open(to.topic));
  }
  co_return topic;
}

void CallProducer::begin(const ProducerOptions& options) {
  options_ = options;
  producer_.emplace(client_, options, [this](const Delivery& delivery) { note(delivery); });
}

void CallProducer::note(const Delivery& delivery) {
  if (!delivery.result || delivery.result->base_offset.value() < 0) return;
  for (std::uint32_t i = 0; i < delivery.count; ++i) {
    offsets_[delivery.first - first_ + i] = delivery.result->base_offset + std::int64_t{i};
  }
}

}  // namespace millrace
