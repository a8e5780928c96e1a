// Batches that are sent again: which, when, and under which numbers.
#include <algorithm>
#include <limits>
#include <utility>

#include "net/client/producer_state.h"

namespace millrace {

// Of a batch that is about to be sent for the first time. While those before it are delivered one by one it
// waits for its turn, however long that takes: on a slow way full buffers take longer than one timeout. Where
// nothing is delivered, all that wait end together.
MonotonicTime ProducerState::due(const Partition& from, const Sealed& batch) const {
  const Duration timeout =
      options_.timeout == Duration::zero() ? client_.options().request_timeout : options_.timeout;
  return std::max(batch.sealed_at, from.delivered_at) + timeout;
}

// Out of order says that the log lacks a batch before this one. It is no proof that no earlier attempt of
// this one gets in any more:
//
//   1. P and Q lie unread in a connection that the client gives up; P's time is over, it is reported as
//      unknown.
//   2. Q is sent again over the next connection: out of order.
//   3. The server reads the old connection: P, then Q, and appends both.
//   4. Q, certainly not in the log at 2, is sent in the next epoch, and stands there twice.
//
// Only where nothing before it in its epoch is in doubt, it cannot, either.
// ProducerAgain.AConnectionThatIsReadLateStoresNothingTwice.
bool ProducerState::is_behind_doubt(const Partition& from, const Sealed& batch) {
  for (const Sealed& before : from.on_the_way) {
    if (&before == &batch) break;
    if (before.unknown) return true;
  }
  return from.gave_up;
}

bool ProducerState::wants_again(const Partition& from, Sealed& batch, const Error& error) const {
  if (!batch.stamp.is_idempotent()) return false;
  switch (error.code) {
    case ErrorCode::connection_lost:
    case ErrorCode::sync_failed:
      // Whether it is in the log will be seen: the server takes it now, or knows it.
      batch.unknown = error;
      break;
    case ErrorCode::shutting_down:
      break;
    case ErrorCode::out_of_order_sequence:
      // What has been given up never gets an answer that would settle it; what is on the way will.
      if (batch.unknown && from.gave_up) return false;
      if (!is_behind_doubt(from, batch)) batch.unknown.reset();
      batch.out_of_step = true;
      break;
    case ErrorCode::unknown_producer:
      // The server does not remember: so it cannot tell whether an earlier attempt is in the log.
      if (batch.unknown) return false;
      batch.out_of_step = true;
      break;
    default:
      return false;
  }
  return !stopped_ && reactor_.now() < batch.due;
}

// Whether batches may be sent as they come.
bool ProducerState::is_smooth(const Partition& from) {
  return !from.begins_epoch && !from.resuming &&
         std::ranges::none_of(from.on_the_way, [](const Sealed& batch) { return batch.again; });
}

// Everything on the way has been answered, or its connection is lost. In order:
//
//   1. A batch may or may not be in the log: it is sent again as it was, and all others behind it, also where
//   one
//      before it has failed: the server takes it, knows it, or misses the one that failed.
//   2. When it is certain of each that it is not there and will not come late, and one before them has
//   failed, they begin the next epoch.
//
// So no batch ever stands in the log under two names. ProducerAgain.* in client_producer_again_test.cpp.
Task<void> ProducerState::resume(Self self, Partition& from) {
  ProducerState& me = *self;
  if (!from.on_the_way.empty()) {
    if (from.pause > Duration::zero()) static_cast<void>(co_await me.reactor_.sleep(from.pause));
    if (me.closed_) co_return;
    const ClientOptions& client = me.client_.options();
    from.pause = std::clamp(from.pause * 2, client.backoff_min, client.backoff_max);
  }
  // The first one can miss none but those that are done with.
  if (!from.on_the_way.empty() && from.on_the_way.front().out_of_step) from.begins_epoch = true;
  const bool is_certain =
      std::ranges::none_of(from.on_the_way, [](const Sealed& batch) { return batch.unknown.has_value(); });
  if (from.begins_epoch && is_certain) {
    const auto begun = co_await me.begin_epoch(from);
    if (me.closed_) co_return;
    if (!begun) me.fail_all(from, begun.error());
  }
  from.resuming = false;
  for (Sealed& batch : from.on_the_way) batch.again = batch.out_of_step = false;
  me.statistics_.batches_again += from.on_the_way.size();
  for (auto batch = from.on_the_way.begin(); batch != from.on_the_way.end();) me.send_off(from, batch++);
  me.go_on(from);
}

Task<Result<void>> ProducerState::begin_epoch(Partition& from) {
  const Self self = shared_from_this();
  if (from.stamp.epoch == std::numeric_limits<std::int16_t>::max()) {
    CO_TRY(const std::int64_t id, co_await client_.init_producer());
    from.stamp = {.id = id, .epoch = -1, .sequence = 0};
  }
  ++from.stamp.epoch;
  from.stamp.sequence = 0;
  from.begins_epoch = false;
  from.gave_up = false;  // what comes late of an earlier epoch stands for itself: nothing follows it any more
  for (std::list<Sealed>* batches : {&from.on_the_way, &from.ready}) {
    for (Sealed& batch : *batches) {
      if (!batch.batch) continue;
      batch.stamp = from.stamp;
      stamp(batch.batch->buffer.bytes().subspan(batch.batch->offset, batch.batch->length), batch.stamp);
      from.stamp.sequence = sequence_after(from.stamp.sequence, batch.count);
    }
  }
  co_return Result<void>();
}

void ProducerState::fail_all(Partition& from, const Error& error) {
  from.on_the_way.splice(from.on_the_way.end(), from.ready);
  while (!from.on_the_way.empty()) finish(from, from.on_the_way.begin(), fail(error));
}

}  // namespace millrace
