#include "net/client/producer.h"

#include <utility>

#include "engine/base/murmur2.h"
#include "net/client/producer_state.h"

namespace millrace {

Producer::Producer(Client& client, ProducerOptions options, OnDelivery on_delivery)
    : state_(std::make_shared<ProducerState>(client, options, std::move(on_delivery))) {}
Producer::~Producer() {
  state_->close();
}

Task<Result<ProducerTopic>> Producer::open(std::string topic) {
  const std::shared_ptr<ProducerState> state = state_;
  if (const auto known = state->find_topic(topic)) co_return *known;
  CO_TRY_VOID(co_await state->take_id());
  CO_TRY(TopicDescription description, co_await state->client().describe_topic(std::move(topic)));
  if (state->closed()) co_return fail(ProducerState::gone());
  co_return state->add_topic(std::move(description.topic.name), description.topic.partitions);
}

Result<std::uint64_t> Producer::append(ProducerTopic topic, std::uint32_t partition,
                                       const RecordView& record) {
  return state_->append(topic, partition, record);
}
Result<std::uint64_t> Producer::append(ProducerTopic topic, const RecordView& record) {
  return state_->append(topic, state_->choose_partition(topic, record), record);
}

std::uint32_t Producer::partition_of(ByteView key, std::uint32_t partitions) {
  return millrace::partition_of(key, partitions);
}

Task<Result<void>> Producer::room() {
  return state_->room();
}
Task<Result<Offset>> Producer::send(ProducerTopic topic, std::uint32_t partition, const RecordView& record) {
  return state_->send(topic, partition, record);
}
Task<Result<void>> Producer::flush() {
  return state_->flush();
}
const ProducerStatistics& Producer::statistics() const {
  return state_->statistics();
}
std::uint64_t Producer::buffered_bytes() const {
  return state_->buffered_bytes();
}

}  // namespace millrace
