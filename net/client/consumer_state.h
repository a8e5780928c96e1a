// ConsumerState: what Consumer and its fetching tasks share.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/reactor/wait.h"
#include "net/client/consumer.h"
#include "net/client/entry_decoder.h"

namespace millrace {

class ConsumerState : public std::enable_shared_from_this<ConsumerState> {
 public:
  ConsumerState(Client& client, ConsumerOptions options, Consumer::OnOutage on_outage);

  void follow(PartitionName name, Offset from);
  void unfollow(const PartitionName& name);
  [[nodiscard]] const ConsumedRecord* next();
  Task<Result<void>> wait(MonotonicTime deadline);
  [[nodiscard]] std::optional<PartitionProgress> progress(const PartitionName& name) const;
  void close();

 private:
  using Self = std::shared_ptr<ConsumerState>;
  struct Followed {
    Followed(Reactor& reactor, Inflater& inflater, PartitionName named, Offset from)
        : name(std::move(named)),
          ask_from(from),
          progress{.next_offset = from, .log_start = from, .committed_end = from},
          decoder(inflater),
          room(reactor) {}
    PartitionName name;
    Offset ask_from;
    PartitionProgress progress;
    std::deque<Slice> answers;  // fetched, not yet decoded
    EntryDecoder decoder;
    std::optional<MonotonicTime> failing_since;  // fetches are repeated
    std::optional<Error> error;
    bool decode_failed = false;  // the error: nothing more of this partition is shown
    bool stopped = false;
    WaitQueue room;  // an answer was taken, or stopped
    [[nodiscard]] bool has_data() const { return !decode_failed && (!decoder.done() || !answers.empty()); }
  };

  static Task<void> fetch_all(Self self, std::shared_ptr<Followed> from);
  Task<bool> outlives(Followed& from, const Error& error);
  void tell_failure(const Error& reason);
  void tell_success();
  [[nodiscard]] FetchOptions fetch_options() const;
  [[nodiscard]] bool decode(Followed& from);
  void stop(Followed& from);

  Client& client_;
  Reactor& reactor_;
  ConsumerOptions options_;
  Consumer::OnOutage on_outage_;
  bool is_outage_ = false;  // as it was told
  Inflater inflater_;       // of all partitions, one batch at a time
  std::vector<std::shared_ptr<Followed>> followed_;
  std::size_t current_ = 0;  // whose answer is being decoded; then the next one's turn
  ConsumedRecord record_;
  WaitQueue changed_;
};

}  // namespace millrace
