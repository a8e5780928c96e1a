// Producers: which batches of which producer a group's log holds, so that one that is sent again is found and
// not stored again.
//
// A producer is an id that the server has handed out, with an epoch; its batches carry sequence numbers, one
// a record, without a gap. Of each producer the last k_producer_batches_kept batches are known by sequence
// and offset: as many as it may have on their way at a time.
//
// What is known is a set of statements about batches, each of which names the batch's place in the log. So a
// state that was written down when the log was longer than what a restart finds is still good: cut() drops
// the statements about what is not there any more. The batches that it drops from a producer's memory
// otherwise are older than five later ones, hence answered long ago: nobody sends them again.
//
// docs/decisions/0007-idempotent-producers.md has the reasons.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/base/record_batch.h"

namespace millrace {

struct ProducerBatch {
  std::int32_t first_sequence = 0;
  std::int32_t last_sequence = 0;
  Offset base_offset;
  friend bool operator==(const ProducerBatch&, const ProducerBatch&) = default;
};

struct KnownProducer {
  std::int64_t id = -1;
  std::int16_t epoch = 0;
  std::uint16_t count = 0;                                       // of `batches` in use
  std::int32_t next_sequence = 0;                                // that the next batch must have
  std::array<ProducerBatch, k_producer_batches_kept> batches{};  // the oldest first

  // Of the last batch; -1 when none is known.
  [[nodiscard]] Offset last_offset() const {
    return count == 0 ? Offset{-1} : batches[count - 1].base_offset;
  }
  [[nodiscard]] std::span<const ProducerBatch> known() const { return std::span(batches).first(count); }
  friend bool operator==(const KnownProducer& a, const KnownProducer& b) {
    return a.id == b.id && a.epoch == b.epoch && a.next_sequence == b.next_sequence &&
           std::ranges::equal(a.known(), b.known());
  }
};

class ProducerTable {
 public:
  // What to do with a batch of `records` records: the offset where it stands already, or nothing, and it may
  // be appended. out_of_order_sequence: a batch before it is missing (or it is older than all that is
  // remembered). producer_fenced: the producer goes on under a later epoch. unknown_producer: it is not the
  // first batch of its epoch, and nothing is known of those before it.
  [[nodiscard]] Result<std::optional<Offset>> check(const ProducerStamp& stamp, std::uint32_t records) const;

  // The batch stands in the log at `offset`. One that is known, or lies before what is known of its producer,
  // changes nothing: logs are read again at a restart. With `most` producers there, the one whose last batch
  // is oldest is forgotten for a new one.
  void note(const ProducerStamp& stamp, std::uint32_t records, Offset offset, std::size_t most);
  // The same for all that was once known of a producer.
  void restore(const KnownProducer& state, std::size_t most);
  // The log ends at `end`: what stood behind it is not there.
  void cut(Offset end);
  // Forgets those whose last batches are oldest, down to `most`.
  void shrink(std::size_t most);

  [[nodiscard]] std::size_t size() const { return states_.size(); }
  [[nodiscard]] std::span<const KnownProducer> states() const { return states_; }
  // Nothing when it is not known.
  [[nodiscard]] const KnownProducer* find(std::int64_t id) const;

  // ---- what a journal does not tell by the batches themselves
  // Producers with batches that describe_each() has not told of.
  [[nodiscard]] std::size_t undescribed() const { return undescribed_count_; }
  // Tells of each of them, once: function(const KnownProducer&).
  template <class Function>
  void describe_each(Function function) {
    if (undescribed_count_ == 0) return;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (undescribed_[i]) function(states_[i]);
      undescribed_[i] = false;
    }
    undescribed_count_ = 0;
  }

 private:
  [[nodiscard]] std::optional<std::size_t> place_of(std::int64_t id) const;
  // The producer's place, which a new one gets if its last batch, at `offset`, is not the oldest of all.
  [[nodiscard]] std::optional<std::size_t> place_for(std::int64_t id, Offset offset, std::size_t most);
  [[nodiscard]] std::size_t oldest() const;
  void erase(std::size_t place);
  void mark(std::size_t place);

  // Side by side, one place a producer; the ids stand alone because each batch of another producer than the
  // last searches them: 256 are 2 KiB, some 60 ns.
  std::vector<std::int64_t> ids_;
  std::vector<KnownProducer> states_;
  std::vector<bool> undescribed_;
  std::size_t undescribed_count_ = 0;
  mutable std::size_t last_found_ = 0;
};

}  // namespace millrace
