// AnswerMemory: what answers hold of a shard's memory, on all connections: those that are being made, as they
// are promised, and those that wait to be sent.
//
// The first answer of a connection may use all of it but an eighth, a further one only half. So whoever takes
// what it gets finds room beside any number who do not; and when these have filled it with first answers,
// whoever stands still goes as soon as somebody waits (Server::press()).
//
// Small answers are not promised; the eighth is theirs. Those that thousands may hear at the same time, of
// their batches or of the topic they wait at, wait while all of it is used. The others do not: a hello, a
// refusal and the like push it beyond `most` at worst, and nobody who takes its answers is closed for them
// before it is twice that (Server::shed()).
#pragma once

#include <cstdint>

#include "engine/base/buffer.h"
#include "engine/reactor/mutex.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/wait.h"

namespace millrace {

struct AnswerMemory {
  AnswerMemory(Reactor& reactor, std::uint64_t bytes_max)
      : most(bytes_max),
        pool(reactor.buffers()),
        foreign_max(bytes_max / reactor.shard_count()),
        first(reactor),
        small(reactor),
        freed(reactor) {}

  // What promises may use of `most`.
  [[nodiscard]] static constexpr std::uint64_t promised_max(std::uint64_t most) { return most - most / 8; }

  [[nodiscard]] std::uint64_t all() const { return held + promised; }
  [[nodiscard]] bool may_promise(std::uint64_t bytes) const { return all() + bytes <= promised_max(most); }
  [[nodiscard]] bool is_short() const { return all() > most / 2; }
  // Whether there is too little for whoever waits, and for a second answer of anybody.
  [[nodiscard]] bool is_too_short() const { return is_short() || !may_promise(wanted); }
  // Small answers wait, too, where they can.
  [[nodiscard]] bool is_full() const { return all() >= most; }
  [[nodiscard]] bool is_overfull() const { return held > 2 * most; }
  [[nodiscard]] bool is_waited_for() const { return first.locked() || small.locked(); }
  // What is another shard's may be referred to, up to this one's part of that; beyond it is copied.
  [[nodiscard]] bool may_refer_to(const Buffer& buffer, std::uint64_t bytes) const {
    return pool.owns(buffer) || foreign + bytes <= foreign_max;
  }

  const std::uint64_t most;
  BufferPool& pool;
  const std::uint64_t foreign_max;
  std::uint64_t held = 0;      // by send queues
  std::uint64_t promised = 0;  // to answers that are being made
  std::uint64_t foreign = 0;   // of those held, in other shards' pools
  std::uint64_t wanted = 0;    // by the connection that waits with `first`
  Mutex first;                 // of the connection that waits for room for its first answer
  Mutex small;                 // of the one that waits for room for a small one
  WaitQueue freed;             // where they wait
};

}  // namespace millrace
