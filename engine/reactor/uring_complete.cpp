// Completions become outcomes, or the next step of their operation.
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/limits.h"
#include "engine/reactor/errno_table.h"
#include "engine/reactor/uring_reactor.h"

namespace millrace {
namespace {

// EINTR and EAGAIN come from file systems and from signals; more often than this in a row they are the
// answer.
constexpr std::uint8_t k_attempts_max = 16;
constexpr std::size_t k_idle_pipes_max = 4;

bool is_stream(const Request& wanted) {
  return (wanted.verb == Verb::read || wanted.verb == Verb::write) && uring_handle(wanted.handle).stream;
}

Outcome counted(std::uint64_t count) {
  Outcome outcome;
  outcome.count = count;
  return outcome;
}

}  // namespace

bool UringReactor::again(std::uint32_t slot, int error) {
  Flight& flight = flights_[slot];
  const Verb verb = request(slot).verb;
  // Whoever shares the stream has made it non-blocking: the kernel does not wait then by itself.
  if (error == EAGAIN && !flight.cancelled && is_stream(request(slot))) {
    flight.step = Step::await;
    submit_operation(slot);
    return true;
  }
  const bool passing = is_passing(verb, verb == Verb::write && flight.step == Step::sync, error);
  if (!passing || flight.cancelled || ++flight.attempts > k_attempts_max) return false;
  submit_operation(slot);
  return true;
}

void UringReactor::complete(std::uint32_t slot, int result, unsigned flags) {
  const Request& wanted = request(slot);
  Flight& flight = flights_[slot];
  CHECK(flight.state == State::kernel, "a completion of slot {}, which is not in the kernel", slot);
  if (result < 0) {
    if (!again(slot, -result)) complete_with_error(slot, -result);
    return;
  }
  if (flight.step == Step::await) {
    flight.step = Step::first;
    return flight.cancelled ? end_with_error(slot, ECANCELED) : submit_operation(slot);
  }
  const auto count = static_cast<std::uint64_t>(result);
  switch (wanted.verb) {
    case Verb::read:
      return complete_read(slot, count);
    case Verb::write:
      return complete_write(slot, count);
    case Verb::receive:
      return complete_receive(slot, count, flags);
    case Verb::send:
      return complete_send(slot, count);
    case Verb::transfer:
      return complete_transfer(slot, count);
    case Verb::open:
      return complete_open(slot, UniqueFd(result));
    case Verb::accept:
      return complete_socket(slot, UniqueFd(result));
    case Verb::connect:
      return complete_socket(slot, std::move(flight.fd));
    case Verb::signal:
      return end(slot, counted(flight.signal.ssi_signo));
    default:
      return end(slot, counted(count));
  }
}

void UringReactor::complete_with_error(std::uint32_t slot, int error) {
  const Request& wanted = request(slot);
  const Flight& flight = flights_[slot];
  if (flight.cancelled && (error == EINTR || error == EAGAIN)) error = ECANCELED;
  if (wanted.verb == Verb::allocate && error == EOPNOTSUPP) error = allocate_by_size(slot);
  if (wanted.verb == Verb::write && flight.step == Step::sync && error != ECANCELED) {
    log(LogLevel::error, fmt::format("fdatasync {}: {}", wanted.handle.label(), errno_text(error)));
    error = EIO;  // nothing is known of the data, whatever the reason
  }
  if (wanted.verb == Verb::write && write_without_dsync(slot, error)) return;
  if (error == 0) return end(slot, {});
  end_with_error(slot, error);
}

// Where fallocate is missing, growing the file gives the same zeros, though no reservation of space.
int UringReactor::allocate_by_size(std::uint32_t slot) {
  const Request& wanted = request(slot);
  const int fd = uring_handle(wanted.handle).fd;
  if (!std::exchange(said_no_allocate_, true)) {
    log(LogLevel::warning,
        fmt::format("{}: this file system cannot reserve space; a full disk shows at writes only",
                    wanted.handle.label()));
  }
  struct stat found{};
  if (::fstat(fd, &found) != 0) return errno;
  const auto length = static_cast<off_t>(wanted.position + wanted.length);
  return found.st_size >= length || ::ftruncate(fd, length) == 0 ? 0 : errno;
}

// Of several writes in flight each hears of the refusal: the first tells those to come, by the handle.
bool UringReactor::write_without_dsync(std::uint32_t slot, int error) {
  UringHandle& handle = uring_handle(request(slot).handle);
  if (error != EOPNOTSUPP || !flights_[slot].dsync) return false;
  handle.synced_write = false;
  if (!std::exchange(said_no_dsync_, true)) {
    log(LogLevel::info,
        fmt::format("{}: synced writes are refused here; each is a write and an fdatasync", handle.label));
  }
  submit_operation(slot);
  return true;
}

void UringReactor::complete_read(std::uint32_t slot, std::uint64_t count) {
  const Request& wanted = request(slot);
  Flight& flight = flights_[slot];
  const UringHandle& handle = uring_handle(wanted.handle);
  flight.done += count;
  // Direct reads cannot go on from within a block; they end there only at the end of the file.
  const bool at_end = count == 0 || handle.stream || (handle.direct && flight.done % k_block_size != 0);
  if (at_end || flight.done == wanted.slices.length()) return end(slot, counted(flight.done));
  if (flight.cancelled) return end_with_error(slot, ECANCELED);
  submit_operation(slot);
}

// A short write means that something stands in the way: the attempt to write the rest tells what. With
// RWF_DSYNC it is an error even if the rest then fits; an fdatasync is of all parts.
void UringReactor::complete_write(std::uint32_t slot, std::uint64_t count) {
  const Request& wanted = request(slot);
  Flight& flight = flights_[slot];
  if (flight.step == Step::sync) return end(slot, counted(flight.done));
  flight.done += count;
  if (flight.done < wanted.slices.length()) {
    flight.cut_short = true;
    if (count == 0) return end_with_error(slot, EIO);
    if (flight.cancelled) return end_with_error(slot, ECANCELED);
    return submit_operation(slot);
  }
  if (wanted.sync == Sync::no) return end(slot, counted(flight.done));
  if (flight.cut_short && flight.dsync) {
    log(LogLevel::error,
        fmt::format("{}: a synced write at {} was taken in parts", wanted.handle.label(), wanted.position));
    return end_with_error(slot, EIO);
  }
  if (flight.dsync) return end(slot, counted(flight.done));
  if (flight.cancelled) return end_with_error(slot, ECANCELED);
  flight.step = Step::sync;
  submit_operation(slot);
}

void UringReactor::complete_send(std::uint32_t slot, std::uint64_t count) {
  Flight& flight = flights_[slot];
  flight.done += count;
  if (flight.done == request(slot).slices.length()) return end(slot, counted(flight.done));
  if (flight.cancelled) return end_with_error(slot, ECANCELED);
  submit_operation(slot);
}

// With Amount::all the kernel itself waits for the rest (Linux 5.19); an older one, and one that was
// interrupted, comes back with a part.
void UringReactor::complete_receive(std::uint32_t slot, std::uint64_t count, unsigned flags) {
  const Request& wanted = request(slot);
  Flight& flight = flights_[slot];
  uring_handle(wanted.handle).drained = (flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
  flight.done += count;
  const bool is_all = count == 0 || wanted.amount == Amount::some || flight.done == wanted.slices.length();
  if (is_all) return end(slot, counted(flight.done));
  if (flight.cancelled) return end_with_error(slot, ECANCELED);
  submit_operation(slot);
}

void UringReactor::complete_transfer(std::uint32_t slot, std::uint64_t count) {
  Flight& flight = flights_[slot];
  if (flight.step == Step::first) {
    if (count == 0) return end(slot, {});
    flight.in_pipe = count;
    flight.step = Step::drain;
  } else {
    if (count == 0) return end_with_error(slot, EPIPE);
    flight.in_pipe -= count;
    flight.done += count;
    if (flight.in_pipe == 0) return end(slot, counted(flight.done));
  }
  if (flight.cancelled) return end_with_error(slot, ECANCELED);
  submit_operation(slot);
}

void UringReactor::return_pipe(Pipe pipe, std::uint64_t left_in_it) {
  if (left_in_it == 0 && idle_pipes_.size() < k_idle_pipes_max) idle_pipes_.push_back(std::move(pipe));
}

void UringReactor::complete_open(std::uint32_t slot, UniqueFd fd) {
  const Request& wanted = request(slot);
  Outcome outcome;
  outcome.handle = make_handle(std::move(fd), wanted.path);
  auto& handle = uring_handle(outcome.handle);
  handle.synced_write = true;  // until the file system refuses
  if (wanted.open.direct) set_direct(handle);
  end(slot, std::move(outcome));
}

// After the open, so that a file system that refuses leaves no half-made file behind.
void UringReactor::set_direct(UringHandle& handle) {
  const int flags = ::fcntl(handle.fd, F_GETFL);
  handle.direct = !options_.no_direct && flags >= 0 && ::fcntl(handle.fd, F_SETFL, flags | O_DIRECT) == 0;
  if (handle.direct || std::exchange(said_no_direct_, true)) return;
  log(LogLevel::warning,
      fmt::format("{}: direct I/O is refused here; files are read and written through the page cache",
                  handle.label));
}

void UringReactor::complete_socket(std::uint32_t slot, UniqueFd fd) {
  const int on = 1;
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  Outcome outcome;
  outcome.handle = make_handle(std::move(fd), "peer " + to_string(flights_[slot].address.to_address()));
  end(slot, std::move(outcome));
}

}  // namespace millrace
