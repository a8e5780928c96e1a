// Requests become entries of the submission ring.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

#include "engine/base/check.h"
#include "engine/reactor/uring_reactor.h"

namespace millrace {
namespace {

// What RWF_DSYNC is to a kernel that does not know it.
constexpr int k_unknown_rw_flag = 1 << 30;

std::uint64_t position_of(const Request& wanted, const Flight& flight) {
  return uring_handle(wanted.handle).stream ? ~std::uint64_t{0} : wanted.position + flight.done;
}

std::uint64_t user_data(std::uint8_t kind, std::uint32_t number, std::uint32_t serial) {
  return std::uint64_t{kind} << 56 | (std::uint64_t{serial} & 0xffffff) << 32 | number;
}

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY | O_CLOEXEC;
    case OpenMode::read_write:
      return O_RDWR | O_CLOEXEC;
    case OpenMode::create:
      break;
  }
  return O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
}

}  // namespace

void UringReactor::submit(Entry entry) {
  io_uring_sqe* sqe = waiting_.empty() ? ring_->entry() : nullptr;
  if (sqe != nullptr) {
    fill_in(*sqe, entry);
    return;
  }
  if (entry.kind == Kind::operation) {
    ++counters_.operations_queued;
    flights_[entry.number].state = State::queued;
  }
  waiting_.push(entry);
}

void UringReactor::submit_operation(std::uint32_t slot) {
  submit({Kind::operation, slot, flights_[slot].serial});
}

// A kindness, not owed: with a full ring it is left out.
void UringReactor::submit_memory(std::span<std::byte> memory) {
  io_uring_sqe* sqe = waiting_.empty() ? ring_->entry() : nullptr;
  if (sqe == nullptr) return;
  io_uring_prep_madvise(sqe, memory.data(), static_cast<std::uint32_t>(memory.size()), MADV_POPULATE_WRITE);
  sqe->user_data = user_data(static_cast<std::uint8_t>(Kind::memory), 0, 0);
}

void UringReactor::submit_waiting() {
  while (!waiting_.empty()) {
    const Entry entry = waiting_.front();
    if (entry.kind == Kind::operation && flights_[entry.number].cancelled) {
      waiting_.pop();
      // Whoever waits for it runs in the next turn; ended here, the shard would fall asleep before.
      end_soon(entry.number, ECANCELED);
      continue;
    }
    io_uring_sqe* sqe = ring_->entry();
    if (sqe == nullptr) return;
    waiting_.pop();
    fill_in(*sqe, entry);
  }
}

void UringReactor::fill_in(io_uring_sqe& sqe, Entry entry) {
  switch (entry.kind) {
    case Kind::operation:
      flights_[entry.number].state = State::kernel;
      fill_in_operation(sqe, entry.number);
      break;
    case Kind::cancel:
      io_uring_prep_cancel64(
          &sqe, user_data(static_cast<std::uint8_t>(Kind::operation), entry.number, entry.serial), 0);
      break;
    case Kind::close:
      io_uring_prep_close(&sqe, static_cast<int>(entry.number));
      break;
    case Kind::doorbell:
      io_uring_prep_msg_ring(&sqe, mail_.doors[entry.number].ring_fd.load(), 0,
                             user_data(static_cast<std::uint8_t>(Kind::rung), 0, 0), 0);
      sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
      break;
    case Kind::event:
      io_uring_prep_poll_add(&sqe, event_.get(), POLLIN);
      break;
    case Kind::rung:
    case Kind::memory:
      CHECK(false, "kind {} is not submitted so", static_cast<int>(entry.kind));
  }
  sqe.user_data = user_data(static_cast<std::uint8_t>(entry.kind), entry.number, entry.serial);
}

// The slices behind the bytes that have moved already.
unsigned UringReactor::fill_in_ranges(std::uint32_t slot) {
  Flight& flight = flights_[slot];
  std::uint64_t skip = flight.done;
  unsigned count = 0;
  for (const Slice& slice : request(slot).slices) {
    if (skip >= slice.length) {
      skip -= slice.length;
      continue;
    }
    flight.ranges[count++] = {slice.buffer.data() + slice.offset + skip,
                              static_cast<std::size_t>(slice.length - skip)};
    skip = 0;
  }
  return count;
}

void UringReactor::fill_in_operation(io_uring_sqe& sqe, std::uint32_t slot) {
  const Request& wanted = request(slot);
  Flight& flight = flights_[slot];
  const int fd = wanted.handle ? uring_handle(wanted.handle).fd : -1;
  switch (wanted.verb) {
    case Verb::open:
      return io_uring_prep_openat(&sqe, AT_FDCWD, wanted.path.c_str(), open_flags(wanted.open.mode), 0644);
    case Verb::read:
    case Verb::write:
      return fill_in_read_or_write(sqe, slot);
    case Verb::sync:
      return io_uring_prep_fsync(&sqe, fd, IORING_FSYNC_DATASYNC);
    case Verb::sync_folder:
      return io_uring_prep_fsync(&sqe, flight.fd.get(), 0);
    case Verb::allocate:
      // Not through io_uring_prep_fallocate, whose parameters' types differ between releases of liburing.
      io_uring_prep_rw(IORING_OP_FALLOCATE, &sqe, fd, nullptr, 0, wanted.position);
      sqe.addr = wanted.length;
      return;
    case Verb::resize:
      return io_uring_prep_rw(k_op_ftruncate, &sqe, fd, nullptr, 0, wanted.length);
    case Verb::rename:
      return io_uring_prep_renameat(&sqe, AT_FDCWD, wanted.path.c_str(), AT_FDCWD, wanted.path_to.c_str(), 0);
    case Verb::remove_file:
      return io_uring_prep_unlinkat(&sqe, AT_FDCWD, wanted.path.c_str(), 0);
    case Verb::remove_folder:
      return io_uring_prep_unlinkat(&sqe, AT_FDCWD, wanted.path.c_str(), AT_REMOVEDIR);
    case Verb::create_folder:
      return io_uring_prep_mkdirat(&sqe, AT_FDCWD, wanted.path.c_str(), 0755);
    case Verb::transfer:
      return fill_in_transfer(sqe, slot);
    case Verb::accept:
      flight.address = {};
      return io_uring_prep_accept(&sqe, fd, flight.address.get(), &flight.address.length, SOCK_CLOEXEC);
    case Verb::connect:
      return io_uring_prep_connect(&sqe, flight.fd.get(), flight.address.get(), flight.address.length);
    case Verb::receive:
      return fill_in_receive(sqe, slot);
    case Verb::send:
      return fill_in_send(sqe, slot);
    case Verb::signal:
      return io_uring_prep_read(&sqe, flight.fd.get(), &flight.signal, sizeof flight.signal, 0);
    case Verb::size:
    case Verb::list:
    case Verb::lock:
    case Verb::free_space:
    case Verb::listen:
    case Verb::shutdown:
    case Verb::sleep:
      break;
  }
  CHECK(false, "{} is no operation of the ring", name(wanted.verb));
}

void UringReactor::fill_in_read_or_write(io_uring_sqe& sqe, std::uint32_t slot) {
  const Request& wanted = request(slot);
  const UringHandle& handle = uring_handle(wanted.handle);
  Flight& flight = flights_[slot];
  if (flight.step == Step::sync) return io_uring_prep_fsync(&sqe, handle.fd, IORING_FSYNC_DATASYNC);

  const bool writes = wanted.verb == Verb::write;
  if (flight.step == Step::await) return io_uring_prep_poll_add(&sqe, handle.fd, writes ? POLLOUT : POLLIN);
  const std::uint64_t position = position_of(wanted, flight);
  const unsigned count = fill_in_ranges(slot);
  const auto length = static_cast<unsigned>(flight.ranges[0].iov_len);
  void* memory = flight.ranges[0].iov_base;
  if (count > 1) {
    const auto prepare = writes ? io_uring_prep_writev : io_uring_prep_readv;
    prepare(&sqe, handle.fd, flight.ranges.data(), count, position);
  } else if (const int registered = wanted.slices[0].buffer.block()->registered;
             wanted.slices.count() == 1 && registered >= 0 && region_ != nullptr &&
             region_->contains(memory)) {
    // Another shard's buffers are registered with that shard's ring.
    if (writes) {
      io_uring_prep_write_fixed(&sqe, handle.fd, memory, length, position, registered);
    } else {
      io_uring_prep_read_fixed(&sqe, handle.fd, memory, length, position, registered);
    }
  } else if (writes) {
    io_uring_prep_write(&sqe, handle.fd, memory, length, position);
  } else {
    io_uring_prep_read(&sqe, handle.fd, memory, length, position);
  }
  flight.dsync = writes && wanted.sync == Sync::data && handle.synced_write;
  if (flight.dsync) sqe.rw_flags = options_.no_dsync ? k_unknown_rw_flag : RWF_DSYNC;
}

void UringReactor::fill_in_send(io_uring_sqe& sqe, std::uint32_t slot) {
  constexpr int k_flags = MSG_WAITALL | MSG_NOSIGNAL;
  Flight& flight = flights_[slot];
  const int fd = uring_handle(request(slot).handle).fd;
  const unsigned count = fill_in_ranges(slot);
  if (count == 1) {
    return io_uring_prep_send(&sqe, fd, flight.ranges[0].iov_base, flight.ranges[0].iov_len, k_flags);
  }
  flight.message = {};
  flight.message.msg_iov = flight.ranges.data();
  flight.message.msg_iovlen = count;
  io_uring_prep_sendmsg(&sqe, fd, &flight.message, k_flags);
}

// The first thing the kernel does is to try; where the last receive has found the end of what there was, that
// is for nothing, and waiting is what has to be done.
void UringReactor::fill_in_receive(io_uring_sqe& sqe, std::uint32_t slot) {
  const Request& wanted = request(slot);
  const UringHandle& handle = uring_handle(wanted.handle);
  const Slice& into = wanted.slices[0];
  const std::uint64_t done = flights_[slot].done;
  io_uring_prep_recv(&sqe, handle.fd, into.buffer.data() + into.offset + done, into.length - done,
                     wanted.amount == Amount::all ? MSG_WAITALL : 0);
  // The flag is of Linux 5.19, which cannot be asked for it; single issuers are of 6.0.
  if (handle.drained && features().single_issuer) sqe.ioprio |= IORING_RECVSEND_POLL_FIRST;
}

void UringReactor::fill_in_transfer(io_uring_sqe& sqe, std::uint32_t slot) {
  const Request& wanted = request(slot);
  const Flight& flight = flights_[slot];
  if (flight.step == Step::first) {
    const auto length = static_cast<unsigned>(std::min(wanted.length, k_transfer_max));
    io_uring_prep_splice(&sqe, uring_handle(wanted.handle).fd, static_cast<std::int64_t>(wanted.position),
                         flight.pipe.write_end.get(), -1, length, SPLICE_F_MOVE);
  } else {
    io_uring_prep_splice(&sqe, flight.pipe.read_end.get(), -1, uring_handle(wanted.other).fd, -1,
                         static_cast<unsigned>(flight.in_pipe), SPLICE_F_MOVE);
  }
}

}  // namespace millrace
