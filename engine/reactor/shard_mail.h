// The mail between the shards of one process: a bounded ring of messages for each pair, and for each shard a
// door that says whether it sleeps and how to wake it.
//
// Why nobody sleeps through a message (all four accesses are sequentially consistent):
//   the reader   1. sets `asleep`   2. looks into its rings once more, and only then sleeps
//   the writer   a. pushes          b. looks at `asleep`, and rings the bell when it is set
// Whichever way 1, 2, a and b interleave, the reader sees the message at 2 or the writer sees `asleep` at b.
// The same pair of steps tells a writer whose ring was full that there is room again (`Lane::writer_waits`).
// A ring is made by its first message: putting it in its place is a part of a, finding it a part of 2.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/base/ids.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/ring_queue.h"
#include "engine/reactor/spsc_ring.h"

namespace millrace {

// Shared by all shards; made before the first and destroyed after the last of them.
struct ShardMail {
  // 512 messages of 40 bytes: 20 KiB for each pair that has something to say, 1.1 MiB where all of 8 shards
  // have. A burst beyond it waits at its sender.
  static constexpr std::size_t k_lane_capacity = 512;

  struct Lane {
    SpscRing<Message> ring{k_lane_capacity};
    std::atomic<bool> writer_waits{false};
  };
  struct alignas(64) Door {
    std::atomic<bool> asleep{false};
    std::atomic<bool> stopped{false};  // runs no messages any more
    std::atomic<int> ring_fd{-1};      // of a shard that can be woken through its ring
    std::atomic<int> event_fd{-1};     // of one that cannot
  };

  explicit ShardMail(std::uint32_t shard_count);
  ShardMail(const ShardMail&) = delete;
  ShardMail& operator=(const ShardMail&) = delete;
  ~ShardMail();
  // For the writer, which makes it.
  [[nodiscard]] Lane& lane(std::uint32_t from, std::uint32_t to);
  // For the reader: null while nothing was ever posted.
  [[nodiscard]] Lane* find_lane(std::uint32_t from, std::uint32_t to) {
    return lanes_[from * shards + to].load(std::memory_order_acquire);
  }

  // Before the first shard listens on the address, `refusal` says whether it may: 0 or an errno, which is
  // given on. One that was refused leaves the address as new to the next.
  [[nodiscard]] int may_listen(const Address& address, const std::function<int()>& refusal);

  std::uint32_t shards;
  std::vector<Door> doors;

 private:
  std::unique_ptr<std::atomic<Lane*>[]> lanes_;  // [from][to]
  std::mutex mutex_;                             // at start-up only
  std::vector<Address> listened_;
};

// One shard's end of it.
class Mailbox {
 public:
  Mailbox(ShardMail& mail, std::uint32_t shard) : mail_(mail), shard_(shard), waiting_(mail.shards) {
    to_wake_.reserve(mail.shards);
  }

  void post(std::uint32_t target, Message message);
  // Runs what has arrived, at most what the rings held at the start.
  std::uint64_t receive(Reactor& reactor);
  // Moves messages that found their ring full; drops those for shards that have stopped.
  void flush();
  [[nodiscard]] bool has_waiting() const { return targets_waiting_ > 0; }
  // The shards to wake since the last call, each once; the caller rings their bells.
  [[nodiscard]] std::vector<std::uint32_t>& to_wake() { return to_wake_; }
  // Declares this shard asleep, unless there is something to do: false then.
  bool fall_asleep();
  void wake_up();

 private:
  void wake(std::uint32_t target);

  ShardMail& mail_;
  std::uint32_t shard_;
  std::vector<RingQueue<Message>> waiting_;  // by target
  std::uint32_t targets_waiting_ = 0;
  std::vector<std::uint32_t> to_wake_;
};

}  // namespace millrace
