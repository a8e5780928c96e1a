#include "engine/reactor/shard_mail.h"

#include <algorithm>

namespace millrace {

ShardMail::ShardMail(std::uint32_t shard_count)
    : shards(shard_count),
      doors(shard_count),
      lanes_(std::make_unique<std::atomic<Lane*>[]>(std::size_t{shard_count} * shard_count)) {}

ShardMail::~ShardMail() {
  for (std::size_t i = 0; i < std::size_t{shards} * shards; ++i) delete lanes_[i].load();
}

ShardMail::Lane& ShardMail::lane(std::uint32_t from, std::uint32_t to) {
  std::atomic<Lane*>& place = lanes_[from * shards + to];
  Lane* found = place.load(std::memory_order_relaxed);  // nobody else writes it
  if (found == nullptr) {
    found = new Lane;
    place.store(found, std::memory_order_release);
  }
  return *found;
}

int ShardMail::may_listen(const Address& address, const std::function<int()>& refusal) {
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(listened_, address) != listened_.end()) return 0;
  const int error = refusal();
  if (error == 0) listened_.push_back(address);
  return error;
}

void Mailbox::wake(std::uint32_t target) {
  auto& asleep = mail_.doors[target].asleep;
  if (!asleep.load(std::memory_order_seq_cst) || !asleep.exchange(false, std::memory_order_seq_cst)) return;
  // It may have fallen asleep again since it was noted; it is woken once.
  if (std::ranges::find(to_wake_, target) == to_wake_.end()) to_wake_.push_back(target);
}

void Mailbox::post(std::uint32_t target, Message message) {
  auto& waiting = waiting_[target];
  ShardMail::Lane& lane = mail_.lane(shard_, target);
  if (waiting.empty() && lane.ring.push(message)) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    wake(target);
    return;
  }
  if (waiting.empty()) ++targets_waiting_;
  waiting.push(std::move(message));
}

void Mailbox::flush() {
  if (targets_waiting_ == 0) return;
  for (std::uint32_t target = 0; target < mail_.shards; ++target) {
    auto& waiting = waiting_[target];
    if (waiting.empty()) continue;
    if (mail_.doors[target].stopped.load(std::memory_order_acquire)) {
      while (!waiting.empty()) (void)waiting.pop();
      --targets_waiting_;
      continue;
    }
    ShardMail::Lane& lane = mail_.lane(shard_, target);
    // Twice: the second time the reader knows that somebody waits for room.
    for (int round = 0; round < 2 && !waiting.empty(); ++round) {
      while (!waiting.empty() && lane.ring.push(waiting.front())) waiting.pop();
      if (!waiting.empty()) lane.writer_waits.store(true, std::memory_order_seq_cst);
      std::atomic_thread_fence(std::memory_order_seq_cst);
    }
    if (waiting.empty()) --targets_waiting_;
    wake(target);
  }
}

std::uint64_t Mailbox::receive(Reactor& reactor) {
  std::uint64_t count = 0;
  for (std::uint32_t from = 0; from < mail_.shards; ++from) {
    ShardMail::Lane* lane = mail_.find_lane(from, shard_);
    if (lane == nullptr) continue;
    Message message;
    std::size_t taken = 0;
    for (; taken < ShardMail::k_lane_capacity && lane->ring.pop(message); ++taken) message(reactor);
    if (taken == 0) continue;
    count += taken;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (lane->writer_waits.load(std::memory_order_seq_cst) &&
        lane->writer_waits.exchange(false, std::memory_order_seq_cst)) {
      wake(from);
    }
  }
  return count;
}

bool Mailbox::fall_asleep() {
  if (mail_.shards == 1) return true;
  auto& asleep = mail_.doors[shard_].asleep;
  asleep.store(true, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (std::uint32_t from = 0; from < mail_.shards; ++from) {
    const ShardMail::Lane* lane = mail_.find_lane(from, shard_);
    if (lane == nullptr || lane->ring.empty()) continue;
    wake_up();
    return false;
  }
  for (std::uint32_t target = 0; targets_waiting_ > 0 && target < mail_.shards; ++target) {
    // The reader has made room since flush() saw none; it may have looked at `asleep` too early to ring.
    if (waiting_[target].empty() || mail_.lane(shard_, target).writer_waits.load(std::memory_order_seq_cst))
      continue;
    wake_up();
    return false;
  }
  return true;
}

void Mailbox::wake_up() {
  mail_.doors[shard_].asleep.store(false, std::memory_order_relaxed);
}

}  // namespace millrace
