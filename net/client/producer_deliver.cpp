// Batches to the server, and what came of them.
#include <algorithm>
#include <ranges>
#include <utility>

#include "net/client/producer_state.h"

namespace millrace {
namespace {

bool is_unknown(ErrorCode code) {
  return code == ErrorCode::connection_lost || code == ErrorCode::timed_out || code == ErrorCode::sync_failed;
}

}  // namespace

// Waits in the frame of send() for the fate of one record.
class ProducerState::SendWait {
 public:
  SendWait(ProducerState& state, Partition& partition, std::uint64_t record)
      : state_(state), partition_(partition), record_(record) {
    partition.waits.push_back(this);
  }
  SendWait(const SendWait&) = delete;
  SendWait& operator=(const SendWait&) = delete;
  ~SendWait() {
    if (ticket_ != 0) state_.reactor_.unschedule(ticket_);
    if (!result_) partition_.waits.erase(first_from(partition_, record_));
  }
  bool await_ready() const { return result_.has_value(); }
  void await_suspend(std::coroutine_handle<> handle) { waiter_ = handle; }
  Result<Offset> await_resume() {
    ticket_ = 0;
    return *std::move(result_);
  }
  [[nodiscard]] std::uint64_t record() const { return record_; }
  void finish(Result<Offset> result) {
    result_ = std::move(result);
    if (waiter_) ticket_ = state_.reactor_.schedule(waiter_);
  }
  // The first of those who wait for this record or a later one.
  static Waits::iterator first_from(Partition& partition, std::uint64_t record) {
    return std::ranges::lower_bound(partition.waits, record, {}, &SendWait::record);
  }

 private:
  ProducerState& state_;
  Partition& partition_;
  std::uint64_t record_;
  std::coroutine_handle<> waiter_;
  Ticket ticket_ = 0;
  std::optional<Result<Offset>> result_;
};

// Waits in the frame of flush() for all batches of its round and those before.
class ProducerState::FlushWait {
 public:
  FlushWait(ProducerState& state, std::uint64_t round)
      : state_(state), round_(round), error_(std::exchange(state.first_error_, std::nullopt)) {
    state.flushes_.push_back(this);
  }
  FlushWait(const FlushWait&) = delete;
  FlushWait& operator=(const FlushWait&) = delete;
  ~FlushWait() { std::erase(state_.flushes_, this); }

  [[nodiscard]] bool waits_for(const Sealed& batch) const { return batch.round <= round_; }
  void hear(const Error& error) {
    if (!error_) error_ = error;
  }
  [[nodiscard]] Result<void> result() const { return error_ ? Result<void>(fail(*error_)) : Result<void>(); }

 private:
  ProducerState& state_;
  std::uint64_t round_;
  std::optional<Error> error_;  // the first one
};

Task<Result<Offset>> ProducerState::send(ProducerTopic topic, std::uint32_t number, RecordView record) {
  const Self self = shared_from_this();
  Result<std::uint64_t> taken = append(topic, number, record);
  while (!taken && taken.error().code == ErrorCode::overloaded) {
    CO_TRY_VOID(co_await room());
    taken = append(topic, number, record);
  }
  if (!taken) co_return fail(std::move(taken).error());
  SendWait wait(*this, *find(topic, number), *taken);
  co_return co_await wait;
}

Task<Result<void>> ProducerState::room() {
  const Self self = shared_from_this();
  const auto full = [this] { return pool_empty_ || buffered_ >= options_.buffered_bytes_max; };
  while (full() && !closed_) {
    const bool nothing_sealed = std::ranges::all_of(outstanding_, [](std::uint64_t n) { return n == 0; });
    if (nothing_sealed) {
      // What fills the bound is gathered, not sent: batches of many partitions, none of them full.
      for (const auto& topic : topics_) {
        for (Partition& each : topic->partitions) {
          seal(each);
          launch(each);
        }
      }
      if (std::ranges::all_of(outstanding_, [](std::uint64_t n) { return n == 0; })) {
        pool_empty_ = false;
        co_return fail(ErrorCode::overloaded,
                       "the reactor's buffers are all in use, and none by this producer's batches");
      }
    }
    co_await changed_.wait();
  }
  // Whoever ran between the wake and here may have destroyed the producer: a record appended now would never
  // be sent, and nobody would tell who waits for it.
  if (closed_) co_return fail(gone());
  co_return Result<void>();
}

Task<Result<void>> ProducerState::flush() {
  const Self self = shared_from_this();
  for (const auto& topic : topics_) {
    for (Partition& each : topic->partitions) {
      seal(each);
      launch(each);
    }
  }
  const std::uint64_t round = first_round_ + outstanding_.size() - 1;
  outstanding_.push_back(0);
  const FlushWait flush(*this, round);
  for (;;) {
    while (outstanding_.size() > 1 && outstanding_.front() == 0) {
      outstanding_.pop_front();
      ++first_round_;
    }
    if (first_round_ > round) break;
    if (closed_) co_return fail(gone());
    co_await changed_.wait();
  }
  co_return flush.result();
}

Error ProducerState::gone() {
  return {ErrorCode::cancelled, "the producer was destroyed; what was on its way may be in the log"};
}

void ProducerState::close() {
  closed_ = true;
  for (const auto& topic : topics_) {
    for (Partition& each : topic->partitions) {
      for (SendWait* wait : std::exchange(each.waits, {})) wait->finish(fail(gone()));
    }
  }
  changed_.wake_all();
}

void ProducerState::launch(Partition& from) {
  if (!is_smooth(from)) {
    const bool is_idle = from.on_the_way.empty() && from.ready.empty();
    if (from.sending != 0 || from.resuming || is_idle) return;
    from.resuming = true;
    reactor_.spawn(resume(shared_from_this(), from));
    return;
  }
  while (from.on_the_way.size() < options_.batches_in_flight_max && !from.ready.empty()) {
    from.ready.front().due = due(from, from.ready.front());
    from.on_the_way.splice(from.on_the_way.end(), from.ready, from.ready.begin());
    send_off(from, std::prev(from.on_the_way.end()));
  }
}

// Seals what an idle partition has gathered: after `linger`, or when everything else in this turn has run.
Task<void> ProducerState::depart(Self self, Partition& from) {
  if (self->options_.linger > Duration::zero()) {
    static_cast<void>(co_await self->reactor_.sleep(self->options_.linger));
  } else {
    co_await self->reactor_.yield();
  }
  from.departing = false;
  if (self->closed_ || !from.on_the_way.empty()) co_return;  // the end of that batch looks again
  self->seal(from);
  self->launch(from);
}

void ProducerState::send_off(Partition& from, Place batch) {
  ++from.sending;
  reactor_.spawn(deliver(shared_from_this(), from, batch));
}

Task<void> ProducerState::deliver(Self self, Partition& from, Place batch) {
  ProducerState& me = *self;
  if (me.closed_) co_return;
  const Duration left = batch->due - me.reactor_.now();
  Result<Produced> result;
  if (!batch->batch) {
    result = fail(batch->batch.error());
  } else if (me.stopped_) {
    result = fail(*me.stopped_);
  } else if (left <= Duration::zero()) {
    result = fail(ErrorCode::overloaded, "a batch was not sent in time: those before it took too long");
  } else {
    result = co_await me.client_.produce_batch({from.topic.name, from.number}, *batch->batch,
                                               {.acks = me.options_.acks, .timeout = left});
    if (me.closed_) co_return;
  }
  --from.sending;
  if (!result && me.wants_again(from, *batch, result.error())) {
    batch->again = true;
  } else {
    me.finish(from, batch, std::move(result));
  }
  me.go_on(from);
}

void ProducerState::finish(Partition& from, Place place, Result<Produced> result) {
  const Sealed batch = std::move(*place);
  from.on_the_way.erase(place);
  if (!result) {
    if (batch.unknown && !is_unknown(result.error().code)) {
      result = fail(ErrorCode::connection_lost, "{}; sent again, and then: {}", batch.unknown->message,
                    result.error().message);
    }
    from.gave_up = from.gave_up || is_unknown(result.error().code);
    // Nothing is sent any more once it has stopped.
    from.begins_epoch = from.begins_epoch || (batch.stamp.is_idempotent() && !stopped_);
  } else {
    from.pause = Duration::zero();
    from.delivered_at = reactor_.now();
  }
  buffered_ -= batch.bytes;
  pool_empty_ = false;
  --outstanding_[batch.round - first_round_];
  const Duration latency = reactor_.now() - batch.sealed_at;
  count(batch, result, latency);
  tell(from, batch, result);
  if (on_delivery_) {
    on_delivery_({.topic = from.topic.name,
                  .partition = from.number,
                  .first = batch.first,
                  .count = batch.count,
                  .batch = batch.batch ? batch.batch->bytes() : ByteView(),
                  .result = result,
                  .latency = latency});
  }
  changed_.wake_all();
}

// Those who wait for a record of this batch: mostly the first ones, as batches mostly end in their order.
void ProducerState::tell(Partition& from, const Sealed& batch, const Result<Produced>& result) {
  const auto begin = SendWait::first_from(from, batch.first);
  const auto end = SendWait::first_from(from, batch.first + batch.count);
  for (SendWait* wait : std::ranges::subrange(begin, end)) {
    if (!result) {
      wait->finish(fail(result.error()));
    } else {
      const bool known = result->base_offset.value() >= 0;
      const auto delta = static_cast<std::int64_t>(wait->record() - batch.first);
      wait->finish(known ? result->base_offset + delta : Offset{-1});
    }
  }
  from.waits.erase(begin, end);
}

// After a batch has met its fate, or not: full batches go first; then what has gathered meanwhile, with what
// those who heard of it append now. What is to be sent again waits until all others have been answered.
void ProducerState::go_on(Partition& from) {
  if (from.ready.empty() && from.on_the_way.empty() && from.open && !from.departing) {
    from.departing = true;
    reactor_.spawn(depart(shared_from_this(), from));
  }
  launch(from);
}

void ProducerState::count(const Sealed& batch, const Result<Produced>& result, Duration latency) {
  if (result) {
    statistics_.records_delivered += batch.count;
    statistics_.record_bytes_delivered += batch.record_bytes;
    statistics_.latency.record(latency);
    return;
  }
  (is_unknown(result.error().code) ? statistics_.records_unknown : statistics_.records_failed) += batch.count;
  bool heard = false;
  for (FlushWait* flush : flushes_) {
    if (!flush->waits_for(batch)) continue;
    flush->hear(result.error());
    heard = true;
  }
  if (!heard && !first_error_) first_error_ = result.error();
  if (!stopped_ && options_.after_failure == AfterFailure::stop) {
    stopped_ =
        Error{ErrorCode::cancelled, "not sent, because an earlier batch failed: " + result.error().message};
  }
}

}  // namespace millrace
