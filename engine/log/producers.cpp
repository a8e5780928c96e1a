#include "engine/log/producers.h"

#include <algorithm>
#include <limits>

#include "engine/log/journal_format.h"

namespace millrace {
namespace {

std::int32_t last_of(std::int32_t first, std::uint32_t records) {
  return sequence_after(first, records - 1);
}

std::unexpected<Error> out_of_order(const KnownProducer& known, const ProducerStamp& stamp) {
  return fail(
      ErrorCode::out_of_order_sequence,
      "producer {} sent sequence {} in epoch {}, expected {}; send the batches before it first, or begin "
      "again with 0 in the next epoch",
      stamp.id, stamp.sequence, stamp.epoch, known.epoch == stamp.epoch ? known.next_sequence : 0);
}

void push(KnownProducer& state, const ProducerBatch& batch) {
  if (state.count == state.batches.size()) {
    std::shift_left(state.batches.begin(), state.batches.end(), 1);
    --state.count;
  }
  state.batches[state.count++] = batch;
  state.next_sequence = sequence_after(batch.last_sequence, 1);
}

}  // namespace

Result<std::optional<Offset>> ProducerTable::check(const ProducerStamp& stamp, std::uint32_t records) const {
  const KnownProducer* known = find(stamp.id);
  if (known == nullptr) {
    if (stamp.sequence == 0) return std::nullopt;
    return fail(
        ErrorCode::unknown_producer,
        "nothing is known of producer {}, which goes on with sequence {}: its earlier batches were refused, "
        "or are too long ago; begin again with 0 in the next epoch",
        stamp.id, stamp.sequence);
  }
  if (stamp.epoch < known->epoch) {
    return fail(ErrorCode::producer_fenced, "producer {} is in epoch {} by now; epoch {} writes no more",
                stamp.id, known->epoch, stamp.epoch);
  }
  if (stamp.epoch > known->epoch) {
    if (stamp.sequence == 0) return std::nullopt;
    return out_of_order(*known, stamp);
  }
  if (stamp.sequence == known->next_sequence) return std::nullopt;
  const std::int32_t last = last_of(stamp.sequence, records);
  for (const ProducerBatch& batch : known->known()) {
    if (batch.first_sequence == stamp.sequence && batch.last_sequence == last) return batch.base_offset;
  }
  return out_of_order(*known, stamp);
}

void ProducerTable::note(const ProducerStamp& stamp, std::uint32_t records, Offset offset, std::size_t most) {
  const auto place = place_for(stamp.id, offset, most);
  if (!place) return;
  KnownProducer& state = states_[*place];
  if (state.count != 0 && offset <= state.last_offset()) return;
  if (state.epoch != stamp.epoch) {
    state.epoch = stamp.epoch;
    state.count = 0;
  }
  push(state, {stamp.sequence, last_of(stamp.sequence, records), offset});
  mark(*place);
}

void ProducerTable::restore(const KnownProducer& state, std::size_t most) {
  const auto place = place_for(state.id, state.last_offset(), most);
  if (!place) return;
  KnownProducer& known = states_[*place];
  // A new place has no batches, so it takes a state without any, too. Of two that end with the same batch the
  // one with more before it says more: a restart may have met the last batch already, in the journal, before
  // the checkpoint's state, whose others are older than the journal.
  const Offset told = state.last_offset(), last = known.last_offset();
  if (known.count != 0 && (told < last || (told == last && state.count <= known.count))) return;
  known = state;
  mark(*place);
}

void ProducerTable::cut(Offset end) {
  for (KnownProducer& state : states_) {
    while (state.count != 0 && state.last_offset() >= end) {
      state.next_sequence = state.batches[--state.count].first_sequence;
    }
  }
}

void ProducerTable::shrink(std::size_t most) {
  while (states_.size() > most) erase(oldest());
}

const KnownProducer* ProducerTable::find(std::int64_t id) const {
  const auto place = place_of(id);
  return place ? &states_[*place] : nullptr;
}

std::optional<std::size_t> ProducerTable::place_of(std::int64_t id) const {
  if (last_found_ < ids_.size() && ids_[last_found_] == id) return last_found_;
  const auto found = std::ranges::find(ids_, id);
  if (found == ids_.end()) return std::nullopt;
  last_found_ = static_cast<std::size_t>(found - ids_.begin());
  return last_found_;
}

std::optional<std::size_t> ProducerTable::place_for(std::int64_t id, Offset offset, std::size_t most) {
  if (const auto known = place_of(id)) return known;
  if (states_.size() >= most) {
    if (states_[oldest()].last_offset() > offset) return std::nullopt;
    shrink(most - 1);
  }
  ids_.push_back(id);
  states_.push_back({.id = id});
  undescribed_.push_back(false);
  return states_.size() - 1;
}

std::size_t ProducerTable::oldest() const {
  const auto at = std::ranges::min_element(states_, {}, &KnownProducer::last_offset);
  return static_cast<std::size_t>(at - states_.begin());
}

void ProducerTable::erase(std::size_t place) {
  if (undescribed_[place]) --undescribed_count_;
  ids_[place] = ids_.back();
  states_[place] = states_.back();
  undescribed_[place] = undescribed_.back();
  ids_.pop_back();
  states_.pop_back();
  undescribed_.pop_back();
}

void ProducerTable::mark(std::size_t place) {
  if (undescribed_[place]) return;
  undescribed_[place] = true;
  ++undescribed_count_;
}

}  // namespace millrace
