#include "engine/reactor/uring_reactor.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>
#include <utility>

#include "engine/base/check.h"
#include "engine/reactor/huge_pages.h"

namespace millrace {
namespace {

MonotonicTime read_clock() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return MonotonicTime(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

// While it stops, a shard looks this often whether peers have taken its last messages.
constexpr Duration k_stop_pause = std::chrono::milliseconds(1);

// What the kernel does to complete a write takes half of this.
constexpr Duration k_wanted_by_others = std::chrono::microseconds(50);

Task<void> run_main(Task<void> main, bool& ended) {
  co_await std::move(main);
  ended = true;
}

BufferPool::Options in_huge_pages(BufferPool::Options buffers) {
  buffers.pages = huge_pages();
  return buffers;
}

}  // namespace

// ---- beginning and end --------------------------------------------------------------------------

Result<std::unique_ptr<UringReactor>> UringReactor::create(const Setup& setup, ShardMail& mail) {
  TRY(auto ring, UringRing::create(setup.options));
  std::unique_ptr<UringReactor> made(new UringReactor(setup, mail, std::move(ring)));
  made->open_door();
  return made;
}

UringReactor::UringReactor(const Setup& setup, ShardMail& mail, std::unique_ptr<UringRing> ring)
    : Reactor(setup.shard, mail.shards, in_huge_pages(setup.buffers), setup.log),
      options_(setup.options),
      mail_(mail),
      mailbox_(mail, setup.shard.value()),
      ring_(std::move(ring)),
      registered_bytes_(setup.options.no_fixed_buffers
                            ? 0
                            : std::min(setup.options.registered_bytes, setup.buffers.bytes_max)),
      pins_(UringRing::k_file_table_size) {
  set_now(read_clock());
  if (!features().defer_taskrun) {
    log(LogLevel::info,
        "io_uring runs without deferred task work (Linux 6.1), at a little more processor time");
  }
}

UringReactor::~UringReactor() {
  if (!stopped_) stop();
}

void UringReactor::run(Task<void> main) {
  if (registered_bytes_ > 0) register_memory(std::exchange(registered_bytes_, 0));
  main_ended_ = false;
  // With deferred task work (Linux 6.1) the kernel keeps what has completed since the last run, as that a
  // peer has closed its connection, until it is asked: before main does something that depends on it.
  ring_->enter();
  spawn(run_main(std::move(main), main_ended_));
  while (!main_ended_) turn();
}

// Not before every shard has its ring, for which the kernel counts memory under the same limit.
void UringReactor::register_memory(std::uint64_t bytes) {
  region_ = ring_->register_memory(bytes);
  if (region_ != nullptr) {
    buffers().adopt(region_->bytes(), 0);
  } else {
    log(LogLevel::info,
        fmt::format("registered memory is refused ({}); reads and writes go on without it, at a "
                    "little more processor time",
                    features().fixed_buffers_refused));
  }
}

void UringReactor::stop() {
  ShardMail::Door& door = mail_.doors[shard().value()];
  door.stopped.store(true, std::memory_order_release);
  destroy_tasks();
  // Operations that no task owned.
  for (std::uint32_t slot = 0; slot < flights_.size(); ++slot) {
    if (flights_[slot].state != State::idle) cancel_flight(slot, false);
  }
  // A message that a destructor has posted is in its ring, but nobody has rung yet.
  while (operations_in_flight() > 0 || closes_in_flight_ > 0 || !waiting_.empty() || mailbox_.has_waiting() ||
         !mailbox_.to_wake().empty()) {
    end_what_has_ended();
    hand_over();
    if (soon_.empty() && waiting_.empty()) {
      ring_->enter_and_wait(std::min<Duration>(std::max(time_to_next_timer(), Duration(1)), k_stop_pause));
    } else {
      ring_->enter();
    }
  }
  stopped_ = true;
}

// ---- the turn -----------------------------------------------------------------------------------

void UringReactor::turn() {
  ++counters_.turns;
  end_what_has_ended();
  if (const auto messages = mailbox_.receive(*this); messages > 0) {
    counters_.messages += messages;
    heard_ = now();
  }
  const bool yielded = run_ready();
  submit_and_sleep(!yielded && !main_ended_);
}

void UringReactor::end_what_has_ended() {
  set_now(read_clock());
  reap();
  fire_timers();
  run_soon();
}

void UringReactor::hand_over() {
  mailbox_.flush();
  ring_doorbells();
  submit_waiting();
}

void UringReactor::reap() {
  const unsigned reaped = ring_->reap([this](std::uint64_t data, int result, unsigned flags) {
    end_entry({static_cast<Kind>(data >> 56), static_cast<std::uint32_t>(data),
               static_cast<std::uint32_t>(data >> 32)},
              result, flags);
  });
  if (reaped > 0) heard_ = now();
}

void UringReactor::end_entry(Entry entry, int result, unsigned flags) {
  switch (entry.kind) {
    case Kind::operation:
      complete(entry.number, result, flags);
      break;
    case Kind::close:
      --closes_in_flight_;
      break;
    case Kind::doorbell:
      // Only failures come here. A shard that has stopped needs no waking; otherwise try again.
      if (result < 0 && result != -EBADFD && result != -EBADF) submit(entry);
      break;
    case Kind::event: {
      std::uint64_t count = 0;
      (void)!::read(event_.get(), &count, sizeof count);
      if (!stopped_) arm_event();
      break;
    }
    case Kind::cancel:  // what was cancelled says itself how it ended
    case Kind::rung:    // being awake is all
    case Kind::memory:  // where it failed, the first touch provides it
      break;
  }
}

void UringReactor::fire_timers() {
  while (const auto slot = timers_.pop_due(now())) {
    if (request(*slot).verb == Verb::sleep) {
      end(*slot, {});
    } else if (flights_[*slot].state == State::timer) {  // another try at a lock or a port
      flights_[*slot].state = State::soon;
      soon_.push(*slot);
    } else {
      cancel_flight(*slot, true);
    }
  }
}

void UringReactor::run_soon() {
  for (auto count = soon_.size(); count > 0; --count) do_soon(soon_.pop());
}

void UringReactor::do_soon(std::uint32_t slot) {
  const Flight& flight = flights_[slot];
  if (flight.error != 0) {
    end_with_error(slot, flight.error);
  } else if (flight.cancelled) {
    end_with_error(slot, ECANCELED);
  } else {
    do_plain(slot);
  }
}

Duration UringReactor::time_to_next_timer() const {
  return timers_.next() == k_never ? UringRing::k_no_timeout : timers_.next() - now();
}

void UringReactor::submit_and_sleep(bool sleep) {
  if (const auto spare = buffers().take_spare(); !spare.empty()) submit_memory(spare);
  hand_over();
  const Duration timeout = time_to_next_timer();
  const bool idle = sleep && soon_.empty() && waiting_.empty() && timeout > Duration::zero();
  if (idle && now() - heard_ < options_.busy_poll) {
    poll();
    return;
  }
  if (!idle || !mailbox_.fall_asleep()) {
    ring_->enter();
    return;
  }
  buffers().collect();
  ring_->enter_and_wait(timeout);
  mailbox_.wake_up();
}

void UringReactor::poll() {
  ++counters_.polls;
  ring_->enter();
  if (ring_->has_completions()) return;
  // Among those who may want this processor is the kernel, to complete what is waited for. Where anybody took
  // it for longer, polling would only be in the way: sleep until something happens.
  const MonotonicTime before = read_clock();
  ::sched_yield();
  if (read_clock() - before > k_wanted_by_others) heard_ = now() - options_.busy_poll;
}

// ---- other shards -------------------------------------------------------------------------------

void UringReactor::post(ShardId target, Message message) {
  CHECK(target.value() < shard_count(), "shard {} of {}", target.value(), shard_count());
  if (target == shard()) {
    run_later(std::move(message));
  } else {
    mailbox_.post(target.value(), std::move(message));
  }
}

void UringReactor::open_door() {
  ShardMail::Door& door = mail_.doors[shard().value()];
  if (features().msg_ring) {
    door.ring_fd.store(ring_->fd());
  } else if (mail_.shards > 1) {
    log(LogLevel::info, "this kernel's rings cannot wake each other (Linux 5.18); shards use an eventfd");
    event_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    CHECK(event_, "eventfd: errno {}", errno);
    door.event_fd.store(event_.get());
    arm_event();
  }
}

void UringReactor::arm_event() {
  submit({.kind = Kind::event});
}

void UringReactor::ring_doorbells() {
  for (const std::uint32_t target : mailbox_.to_wake()) {
    if (features().msg_ring) {
      submit({.kind = Kind::doorbell, .number = target});
    } else {
      const std::uint64_t one = 1;
      (void)!::write(mail_.doors[target].event_fd.load(), &one, sizeof one);
    }
  }
  mailbox_.to_wake().clear();
}

// ---- time and chance ----------------------------------------------------------------------------

WallTime UringReactor::wall_clock() const {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return {time.tv_sec * 1000 + time.tv_nsec / 1'000'000};
}

std::uint64_t UringReactor::random() {
  if (entropy_left_ == 0) {
    // At most 256 bytes are given whole, once the machine has booted.
    const auto got = ::getrandom(entropy_.data(), sizeof entropy_, 0);
    CHECK(got == sizeof entropy_, "getrandom gave {}", got);
    entropy_left_ = entropy_.size();
  }
  return entropy_[--entropy_left_];
}

}  // namespace millrace
