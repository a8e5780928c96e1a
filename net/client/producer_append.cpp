// Records into batches.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "net/client/producer_state.h"

namespace millrace {
namespace {

// What a record takes in a batch beyond its key, value and headers: lengths, deltas and attributes.
constexpr std::uint32_t k_record_overhead_max = 64;

std::uint64_t size_of(const RecordView& record) {
  return (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
}

}  // namespace

ProducerState::ProducerState(Client& client, ProducerOptions options, Producer::OnDelivery on_delivery)
    : client_(client),
      reactor_(client.reactor()),
      options_(options),
      on_delivery_(std::move(on_delivery)),
      changed_(client.reactor()) {
  options_.batch_bytes = std::clamp(options_.batch_bytes, k_batch_size_target_min, k_batch_size_max);
  options_.batches_in_flight_max = std::max(options_.batches_in_flight_max, 1u);
  if (options_.acks == Acks::none) options_.idempotent = false;
  if (options_.idempotent)
    options_.batches_in_flight_max = std::min(options_.batches_in_flight_max, k_producer_batches_kept);
}

Task<Result<void>> ProducerState::take_id() {
  const Self self = shared_from_this();
  if (options_.idempotent && id_ < 0) {
    CO_TRY(id_, co_await client_.init_producer());
  }
  co_return Result<void>();
}

ProducerTopic ProducerState::add_topic(std::string name, std::uint32_t partitions) {
  if (const auto known = find_topic(name)) return *known;
  topics_.push_back(std::make_unique<Topic>(Topic{.name = std::move(name), .partitions = {}}));
  Topic& topic = *topics_.back();
  topic.partitions.reserve(partitions);
  for (std::uint32_t i = 0; i < partitions; ++i) {
    topic.partitions.push_back({.topic = topic,
                                .number = i,
                                .open = {},
                                .size_expected = k_batch_size_target_min,
                                .ready = {},
                                .on_the_way = {},
                                .waits = {}});
    if (id_ >= 0) topic.partitions.back().stamp = {.id = id_, .epoch = 0, .sequence = 0};
  }
  return {static_cast<std::uint32_t>(topics_.size() - 1), partitions};
}

std::optional<ProducerTopic> ProducerState::find_topic(std::string_view name) const {
  for (std::uint32_t i = 0; i < topics_.size(); ++i) {
    if (topics_[i]->name == name)
      return ProducerTopic{i, static_cast<std::uint32_t>(topics_[i]->partitions.size())};
  }
  return std::nullopt;
}

ProducerState::Partition* ProducerState::find(ProducerTopic topic, std::uint32_t number) {
  if (topic.number >= topics_.size()) [[unlikely]]
    return nullptr;
  std::vector<Partition>& partitions = topics_[topic.number]->partitions;
  return number < partitions.size() ? &partitions[number] : nullptr;
}

std::uint32_t ProducerState::choose_partition(ProducerTopic topic, const RecordView& record) const {
  if (topic.partitions <= 1 || topic.number >= topics_.size()) return 0;
  if (record.key) return Producer::partition_of(*record.key, topic.partitions);
  return topics_[topic.number]->sticky;
}

std::int64_t ProducerState::wall_milliseconds() {
  if (wall_read_at_ != reactor_.now()) {
    wall_read_at_ = reactor_.now();
    wall_ms_ = reactor_.wall_clock().milliseconds;
  }
  return wall_ms_;
}

RecordBatchBuilder ProducerState::make_builder(std::uint32_t size_max, std::uint32_t size_expected) {
  RecordBatchBuilder::Options options;
  options.size_max = size_max;
  options.size_expected = std::min(size_expected, size_max);
  options.compressor = &compressor_;
  return RecordBatchBuilder(reactor_.buffers(), options);
}

Error ProducerState::no_memory() {
  pool_empty_ = true;
  return {ErrorCode::overloaded, "the reactor's buffers are all in use; wait for room()"};
}

Result<std::uint64_t> ProducerState::append(ProducerTopic topic, std::uint32_t number,
                                            const RecordView& record) {
  Partition* const found = find(topic, number);
  if (found == nullptr) [[unlikely]] {
    return fail(ErrorCode::invalid_argument, "partition {} of a topic of {} partitions; they count from 0",
                number, topic.partitions);
  }
  Partition& to = *found;
  if (stopped_) [[unlikely]]
    return fail(*stopped_);
  if (buffered_ >= options_.buffered_bytes_max) [[unlikely]] {
    return fail(ErrorCode::overloaded, "{} bytes wait to be delivered, at most {} may; wait for room()",
                buffered_, options_.buffered_bytes_max);
  }
  const std::int64_t timestamp =
      options_.timestamps == Timestamps::now ? wall_milliseconds() : record.timestamp;
  for (bool again = true; again;) {
    again = false;
    if (!to.open) to.open.emplace(make_builder(options_.batch_bytes, to.size_expected));
    const std::uint32_t before = to.open->size();
    switch (to.open->append(record, timestamp)) {
      case BatchAppend::appended:
        buffered_ += to.open->size() - before;
        to.open_bytes += size_of(record);
        break;
      case BatchAppend::full:
        seal(to);
        launch(to);
        again = true;
        break;
      case BatchAppend::record_too_large:
        TRY_VOID(append_large(to, record, timestamp));
        break;
      case BatchAppend::overloaded:
        if (to.open->count() == 0) to.open.reset();
        return fail(no_memory());
    }
  }
  ++statistics_.records;
  statistics_.record_bytes += size_of(record);
  if (to.on_the_way.empty() && !to.departing && to.open) {
    to.departing = true;
    reactor_.spawn(depart(shared_from_this(), to));
  }
  return to.next++;
}

// A record that does not fit a batch of batch_bytes gets a larger one of its own.
Result<void> ProducerState::append_large(Partition& to, const RecordView& record, std::int64_t timestamp) {
  const std::uint64_t expected = size_of(record) + k_batch_header_size + k_record_overhead_max;
  RecordBatchBuilder alone = make_builder(
      k_batch_size_max, static_cast<std::uint32_t>(std::min<std::uint64_t>(expected, k_batch_size_max)));
  const BatchAppend taken = alone.append(record, timestamp);
  if (taken == BatchAppend::overloaded) return fail(no_memory());
  if (taken != BatchAppend::appended) {
    return fail(ErrorCode::record_too_large,
                "a record of {} bytes; a batch holds {} bytes at most, its own bookkeeping included",
                size_of(record), k_batch_size_max);
  }
  seal(to);
  buffered_ += alone.size();
  put_ready(to, alone, to.next, size_of(record));
  launch(to);
  return {};
}

void ProducerState::seal(Partition& from) {
  if (!from.open) return;
  if (from.open->count() != 0) {
    const std::uint32_t size = from.open->size();
    // Batches of about the same size follow: their memory is taken at once.
    from.size_expected = std::clamp(std::bit_ceil(size), k_batch_size_target_min, options_.batch_bytes);
    put_ready(from, *from.open, from.next - from.open->count(), from.open_bytes);
    if (from.topic.sticky == from.number)
      from.topic.sticky = (from.number + 1) % static_cast<std::uint32_t>(from.topic.partitions.size());
  }
  from.open.reset();
  from.open_bytes = 0;
}

void ProducerState::put_ready(Partition& from, RecordBatchBuilder& builder, std::uint64_t first,
                              std::uint64_t record_bytes) {
  const std::uint64_t size = builder.size();
  const std::uint32_t count = builder.count();
  Sealed sealed{.batch = builder.finish(options_.codec, from.stamp),
                .bytes = size,
                .record_bytes = record_bytes,
                .first = first,
                .count = count,
                .round = first_round_ + outstanding_.size() - 1,
                .sealed_at = reactor_.now()};
  if (sealed.batch) {
    if (from.stamp.is_idempotent()) {
      sealed.stamp = from.stamp;
      from.stamp.sequence = sequence_after(from.stamp.sequence, count);
    }
    fit(*sealed.batch);
    sealed.bytes = std::max<std::uint64_t>(sealed.batch->length, sealed.batch->buffer.capacity() / 2);
    statistics_.batch_bytes += sealed.batch->length;
  }
  buffered_ = buffered_ - size + sealed.bytes;
  ++outstanding_.back();
  ++statistics_.batches;
  from.ready.push_back(std::move(sealed));
}

// A compressed batch may stand in far more memory than it needs; many of them wait at a time.
void ProducerState::fit(Slice& batch) {
  if (batch.length > batch.buffer.capacity() / 4) return;
  auto smaller = reactor_.buffers().acquire(batch.length);
  if (!smaller) return;
  std::memcpy(smaller->data(), batch.bytes().data(), batch.length);
  batch = Slice{*std::move(smaller), 0, batch.length};
}

}  // namespace millrace
