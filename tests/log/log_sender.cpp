#include "tests/log/log_sender.h"

#include "engine/reactor/wait.h"

namespace millrace::test {

Slice make_stamped_batch(BufferPool& pool, const ProducerStamp& producer, std::uint64_t record,
                         std::uint32_t size) {
  Slice batch = make_batch(pool, record, size, size >= k_direct_size_min && record % 2 == 0);
  stamp(batch.buffer.bytes().subspan(batch.offset, batch.length), producer);
  return batch;
}

Task<void> LogSender::send(LogStory::Logs& logs, std::vector<std::uint32_t> sizes) {
  Gate gate(logs.reactor);
  for (const std::uint32_t size : sizes) {
    const std::uint64_t record = number_ << 32 | ++sent_;
    unanswered_.push_back({next_, record, size});
    next_.sequence = sequence_after(next_.sequence, 1);
    story_.groups[group_].attempted[record] = size;
    story_.groups[group_].asked[record] = story_.world().now();
    gate.spawn(deliver(logs, std::prev(unanswered_.end())));
  }
  co_await gate.close();
}

Task<void> LogSender::send_again(LogStory::Logs& logs) {
  ended_ = story_.groups[group_].removed;
  Gate gate(logs.reactor);
  for (auto sent = unanswered_.begin(); sent != unanswered_.end();) gate.spawn(deliver(logs, sent++));
  co_await gate.close();
}

Task<void> LogSender::deliver(LogStory::Logs& logs, Place sent) {
  const auto answered = co_await on_shard(
      logs.reactor, shard_of(group_, story_.node_options.shards),
      [&, sent = *sent](Reactor& there) -> Task<Result<Appended>> {
        const ProducerStamp stamp = anonymous ? ProducerStamp{} : sent.stamp;
        Slice batch = make_stamped_batch(there.buffers(), stamp, sent.record, sent.size);
        co_return co_await logs.of(group_).append(group_, std::move(batch), 1, AckLevel::durable);
      });
  LogStory::Known& known = story_.groups[group_];
  if (!answered) {
    EXPECT_TRUE(known.removed || answered.error().code == ErrorCode::sync_failed) << answered.error().message;
    ended_ = true;
    co_return;
  }
  ++answered_;
  if (answered->duplicate) ++duplicates_;
  const auto [at, fresh] = known.acknowledged.emplace(answered->base_offset.value(), sent->record);
  EXPECT_TRUE(fresh || at->second == sent->record)
      << "offset " << answered->base_offset.value() << " was given to two records";
  unanswered_.erase(sent);
}

}  // namespace millrace::test
