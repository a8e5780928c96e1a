#include "net/client/consumer.h"

#include <algorithm>
#include <utility>

#include "engine/reactor/wait_until.h"
#include "net/client/consumer_state.h"

namespace millrace {
namespace {

constexpr std::uint32_t k_fetch_bytes_min = 64u << 10;
// Between repetitions of a fetch that failed; the client itself pauses longer when nobody answers.
constexpr Duration k_repeat_pause = std::chrono::milliseconds(50);

// A fetch may be repeated whatever became of it, when the reason may pass.
bool may_pass(ErrorCode code) {
  return retryable(code) || code == ErrorCode::connection_lost || code == ErrorCode::timed_out;
}

}  // namespace

Consumer::Consumer(Client& client, ConsumerOptions options, OnOutage on_outage)
    : state_(std::make_shared<ConsumerState>(client, options, std::move(on_outage))) {}
Consumer::~Consumer() {
  state_->close();
}
void Consumer::follow(PartitionName partition, Offset from) {
  state_->follow(std::move(partition), from);
}
void Consumer::unfollow(const PartitionName& partition) {
  state_->unfollow(partition);
}
const ConsumedRecord* Consumer::next() {
  return state_->next();
}
Task<Result<void>> Consumer::wait(MonotonicTime deadline) {
  return state_->wait(deadline);
}
std::optional<PartitionProgress> Consumer::progress(const PartitionName& partition) const {
  return state_->progress(partition);
}

ConsumerState::ConsumerState(Client& client, ConsumerOptions options, Consumer::OnOutage on_outage)
    : client_(client),
      reactor_(client.reactor()),
      options_(options),
      on_outage_(std::move(on_outage)),
      changed_(client.reactor()) {
  options_.fetches_ahead = std::max(options_.fetches_ahead, 1u);
}

void ConsumerState::follow(PartitionName name, Offset from) {
  CHECK(!progress(name), "{} is followed twice", to_string(name));
  followed_.push_back(std::make_shared<Followed>(reactor_, inflater_, std::move(name), from));
  reactor_.spawn(fetch_all(shared_from_this(), followed_.back()));
}

void ConsumerState::unfollow(const PartitionName& name) {
  for (const auto& each : followed_) {
    if (each->name == name) stop(*each);
  }
  std::erase_if(followed_, [](const auto& each) { return each->stopped; });
  current_ = 0;
  changed_.wake_all();
}

void ConsumerState::close() {
  for (const auto& each : followed_) stop(*each);
  followed_.clear();
  changed_.wake_all();
}

void ConsumerState::stop(Followed& from) {
  from.stopped = true;
  from.room.wake_all();
}

std::optional<PartitionProgress> ConsumerState::progress(const PartitionName& name) const {
  const auto found = std::ranges::find_if(followed_, [&](const auto& each) { return each->name == name; });
  return found == followed_.end() ? std::nullopt : std::optional((*found)->progress);
}

// ---- fetching

FetchOptions ConsumerState::fetch_options() const {
  const std::uint64_t share = options_.buffered_bytes_max / (followed_.size() * options_.fetches_ahead);
  const auto lower = std::min(k_fetch_bytes_min, options_.fetch_bytes);
  return {
      .min_bytes = options_.fetch_min_bytes,
      .max_bytes = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(share, lower, options_.fetch_bytes)),
      .max_wait = options_.fetch_wait};
}

Task<void> ConsumerState::fetch_all(Self self, std::shared_ptr<Followed> from) {
  while (!from->stopped) {
    if (from->answers.size() >= self->options_.fetches_ahead) {
      co_await from->room.wait();
      continue;
    }
    auto fetched = co_await self->client_.fetch(from->name, from->ask_from, self->fetch_options());
    if (from->stopped) break;
    if (!fetched) {
      if (co_await self->outlives(*from, fetched.error())) continue;
      break;
    }
    from->failing_since.reset();
    self->tell_success();
    from->progress.log_start = fetched->log_start;
    from->progress.committed_end = fetched->committed_end;
    from->ask_from = std::max(from->ask_from, fetched->next_offset);
    if (fetched->entries.length != 0) from->answers.push_back(std::move(fetched->entries));
    self->changed_.wake_all();
  }
}

// Whether to try again: after a pause, and not beyond the consumer's patience. Otherwise the error is the
// partition's end.
Task<bool> ConsumerState::outlives(Followed& from, const Error& error) {
  if (!from.failing_since) from.failing_since = reactor_.now();
  if (may_pass(error.code) && reactor_.now() + k_repeat_pause < *from.failing_since + options_.patience) {
    tell_failure(error);
    static_cast<void>(co_await reactor_.sleep(k_repeat_pause));
    co_return true;
  }
  from.error = Error{error.code, fmt::format("{} at offset {}: {}", to_string(from.name),
                                             from.ask_from.value(), error.message)};
  changed_.wake_all();
  co_return false;
}

void ConsumerState::tell_failure(const Error& reason) {
  if (std::exchange(is_outage_, true)) return;
  if (on_outage_) on_outage_(&reason);
}

// A server that goes answers what waits there: one partition may succeed while another fails already.
void ConsumerState::tell_success() {
  const auto fails = [](const auto& each) { return each->failing_since && !each->error; };
  if (!is_outage_ || std::ranges::any_of(followed_, fails)) return;
  is_outage_ = false;
  if (on_outage_) on_outage_(nullptr);
}

// ---- records

const ConsumedRecord* ConsumerState::next() {
  for (std::size_t empty = 0; empty < followed_.size();) {
    if (current_ >= followed_.size()) current_ = 0;
    Followed& from = *followed_[current_];
    if (!from.has_data()) {
      ++empty;
    } else if (decode(from)) {
      return &record_;
    } else {
      empty = 0;
    }
    ++current_;
  }
  return nullptr;
}

// The next record of a partition's current answer; at its end, before the next one, other partitions have
// their turn.
bool ConsumerState::decode(Followed& from) {
  if (from.decoder.done()) {
    from.decoder.feed(std::move(from.answers.front()));
    from.answers.pop_front();
    from.room.wake_all();
  }
  const auto more = from.decoder.next(record_.record, from.progress.next_offset);
  if (!more) {
    from.decode_failed = true;
    from.error =
        Error{more.error().code, fmt::format("{} at offset {}: {}", to_string(from.name),
                                             from.progress.next_offset.value(), more.error().message)};
    stop(from);
    return false;
  }
  record_.topic = from.name.topic;
  record_.partition = from.name.partition;
  return *more;
}

Task<Result<void>> ConsumerState::wait(MonotonicTime deadline) {
  const Self self = shared_from_this();
  for (;;) {
    if (followed_.empty()) co_return fail(ErrorCode::invalid_argument, "no partition is followed");
    if (std::ranges::any_of(followed_, [](const auto& each) { return each->has_data(); }))
      co_return Result<void>();
    for (std::size_t i = 0; i < followed_.size(); ++i) {
      if (!followed_[i]->error) continue;
      Error error = *std::move(followed_[i]->error);
      followed_.erase(followed_.begin() + static_cast<std::ptrdiff_t>(i));
      co_return fail(std::move(error));
    }
    if (reactor_.now() >= deadline) co_return fail(ErrorCode::timed_out, "no record came in time");
    if (deadline == k_never) {
      co_await changed_.wait();
    } else {
      WaitUntil until(reactor_, changed_, deadline);
      static_cast<void>(co_await until);
    }
  }
}

}  // namespace millrace
