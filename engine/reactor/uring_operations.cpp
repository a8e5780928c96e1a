// An operation's way: begun, cancelled, ended; and the descriptors that it holds open meanwhile.
#include <cerrno>
#include <memory>
#include <unistd.h>
#include <utility>

#include "engine/reactor/uring_reactor.h"

namespace millrace {

void UringReactor::begin(std::uint32_t slot) {
  const Request& wanted = request(slot);
  Flight& flight = flights_.reach(slot);
  ++flight.serial;
  flight.step = Step::first;
  flight.cancelled = flight.late = flight.cut_short = flight.dsync = false;
  flight.attempts = 0;
  flight.done = 0;
  if (wanted.deadline != k_never) timers_.add(slot, wanted.deadline);
  if (wanted.verb == Verb::sleep) {
    flight.state = State::timer;
    return;
  }
  if (wanted.verb == Verb::write) ++writes_in_flight_;
  flight.error = prepare_operation(slot);
  if (flight.error != 0 || is_plain(wanted.verb)) return end_soon(slot, flight.error);
  submit_operation(slot);
}

void UringReactor::end_soon(std::uint32_t slot, int error) {
  flights_[slot].state = State::soon;
  flights_[slot].error = error;
  soon_.push(slot);
}

void UringReactor::cancel(std::uint32_t slot) {
  cancel_flight(slot, false);
}

void UringReactor::cancel_flight(std::uint32_t slot, bool late) {
  Flight& flight = flights_[slot];
  if (flight.state == State::timer) return end_with_error(slot, ECANCELED);
  if (flight.cancelled) return;
  flight.cancelled = true;
  flight.late = late;
  if (flight.state == State::kernel) submit({Kind::cancel, slot, flight.serial});
}

void UringReactor::end_with_error(std::uint32_t slot, int error) {
  Outcome outcome;
  outcome.error = error == ECANCELED && flights_[slot].late ? ETIME : error;
  end(slot, std::move(outcome));
}

void UringReactor::end(std::uint32_t slot, Outcome outcome) {
  Flight& flight = flights_[slot];
  flight.state = State::idle;
  flight.fd = {};
  if (flight.pipe.read_end) return_pipe(std::move(flight.pipe), std::exchange(flight.in_pipe, 0));
  timers_.remove(slot);
  if (request(slot).verb == Verb::write && --writes_in_flight_ == 0) {
    for (const std::uint64_t number : std::exchange(unpin_later_, {})) unpin(number);
  }
  finish(slot, std::move(outcome));
}

void UringReactor::release_handle(HandleState* state) {
  const std::unique_ptr<UringHandle> handle(static_cast<UringHandle*>(state));
  if (handle->pin != 0 && !stopped_) unpin_everywhere(handle->pin);
  if (handle->fd < 0) return;
  if (stopped_) {
    ::close(handle->fd);
    return;
  }
  // The last close of a file may have blocks to free, so it is the kernel's work.
  ++closes_in_flight_;
  submit({.kind = Kind::close, .number = static_cast<std::uint32_t>(handle->fd)});
}

}  // namespace millrace
