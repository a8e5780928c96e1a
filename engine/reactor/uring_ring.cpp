#include "engine/reactor/uring_ring.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/reactor/errno_table.h"
#include "engine/reactor/huge_pages.h"

namespace millrace {
namespace {

// Completions are kept by the kernel when there is no room, but that costs it an allocation each. 8 times the
// entries: a thousand connections with two operations each, and a full turn on top.
constexpr unsigned k_completions_per_entry = 8;
constexpr unsigned k_entries_min = 8;
constexpr unsigned k_memory_waits = 25;
constexpr unsigned k_memory_wait_us = 20'000;
constexpr std::uint64_t k_registered_bytes_min = std::uint64_t{256} << 10;

constexpr unsigned k_needed_features = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
constexpr std::uint8_t k_needed_opcodes[] = {
    IORING_OP_READ,     IORING_OP_WRITE,    IORING_OP_READV,     IORING_OP_WRITEV,       IORING_OP_FSYNC,
    IORING_OP_OPENAT,   IORING_OP_CLOSE,    IORING_OP_FALLOCATE, IORING_OP_ACCEPT,       IORING_OP_CONNECT,
    IORING_OP_RECV,     IORING_OP_SEND,     IORING_OP_SENDMSG,   IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD,
    IORING_OP_RENAMEAT, IORING_OP_UNLINKAT, IORING_OP_MKDIRAT,
};

Error refused(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return {ErrorCode::permission_denied,
              "io_uring is refused (EPERM): in a container, allow io_uring_setup, io_uring_enter and "
              "io_uring_register in its "
              "seccomp profile (docker: --security-opt seccomp=PROFILE); else set sysctl "
              "kernel.io_uring_disabled=0"};
    case ENOSYS:
      return {ErrorCode::unsupported,
              "io_uring is missing (ENOSYS): Linux 5.15 or newer is needed, built with CONFIG_IO_URING, and "
              "no seccomp "
              "profile that hides it"};
    case ENOMEM:
      return {
          ErrorCode::overloaded,
          "io_uring_setup: no memory for the ring (ENOMEM): raise the limit of locked memory (ulimit -l)"};
    case EMFILE:
    case ENFILE:
      return {ErrorCode::overloaded, "io_uring_setup: too many open files: raise ulimit -n"};
    default:
      return {ErrorCode::io_error, fmt::format("io_uring_setup: {}", errno_text(error))};
  }
}

}  // namespace

RegisteredRegion::~RegisteredRegion() {
  huge_pages().give_back(bytes_.data(), bytes_.size());
}

Result<std::unique_ptr<UringRing>> UringRing::create(const UringOptions& options) {
  std::unique_ptr<UringRing> ring(new UringRing);
  TRY_VOID(ring->set_up(options));
  TRY_VOID(ring->probe(options));
  return ring;
}

UringRing::~UringRing() {
  if (!exists_) return;
  // The ring itself goes in the background; what it holds in its file table (the lock of the data folder)
  // must go now.
  if (features_.registered_files) io_uring_unregister_files(&ring_);
  io_uring_queue_exit(&ring_);
}

int UringRing::set_up_with(const UringOptions& options, unsigned entries, unsigned flags) {
  if (options.no_defer_taskrun) flags &= ~IORING_SETUP_DEFER_TASKRUN;
  if (options.no_single_issuer) flags &= ~(IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER);
  if (options.no_coop_taskrun) flags &= ~IORING_SETUP_COOP_TASKRUN;
  io_uring_params params{};
  params.flags = flags | IORING_SETUP_CQSIZE;
  params.cq_entries = entries * k_completions_per_entry;
  const int result = io_uring_queue_init_params(entries, &ring_, &params);
  if (result != 0) return -result;
  exists_ = true;
  features_.single_issuer = (flags & IORING_SETUP_SINGLE_ISSUER) != 0;
  features_.defer_taskrun = (flags & IORING_SETUP_DEFER_TASKRUN) != 0;
  features_.coop_taskrun = (flags & IORING_SETUP_COOP_TASKRUN) != 0;
  features_.entries = params.sq_entries;
  features_.completion_entries = params.cq_entries;
  return (params.features & k_needed_features) == k_needed_features ? 0 : ENOSYS;
}

Result<void> UringRing::set_up(const UringOptions& options) {
  // The newest first: Linux 6.1, 6.0, 5.19, 5.18, any.
  constexpr unsigned k_flags[] = {
      IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
      IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
      IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
      IORING_SETUP_SUBMIT_ALL,
      0,
  };
  unsigned entries = options.entries;
  unsigned waits = 0;
  for (;;) {
    int error = EINVAL;
    for (const unsigned flags : k_flags) {
      error = set_up_with(options, entries, flags);
      if (error != EINVAL) break;
    }
    if (error == 0) return {};
    if (error != ENOMEM) return fail(refused(error));
    // A ring counts as locked memory, about 200 KiB at 1,024 entries, and that of a process which has just
    // ended is given back a moment later. After that a small ring is better than none.
    if (waits++ < k_memory_waits) {
      ::usleep(k_memory_wait_us);
    } else if (entries > k_entries_min) {
      entries /= 2;
    } else {
      return fail(refused(error));
    }
  }
}

Result<void> UringRing::probe(const UringOptions& options) {
  const std::unique_ptr<io_uring_probe, void (*)(io_uring_probe*)> found(io_uring_get_probe_ring(&ring_),
                                                                         io_uring_free_probe);
  const auto offers = [&](int opcode) {
    return found && io_uring_opcode_supported(found.get(), opcode) != 0;
  };
  for (const int opcode : k_needed_opcodes) {
    if (!offers(opcode)) {
      return fail(ErrorCode::unsupported,
                  "this kernel's io_uring lacks operation {}: Linux 5.15 or newer is needed", opcode);
    }
  }
  features_.msg_ring = !options.no_msg_ring && offers(IORING_OP_MSG_RING);
  features_.resize_opcode = !options.no_resize_opcode && offers(k_op_ftruncate);
  features_.splice = !options.no_splice && offers(IORING_OP_SPLICE);
  features_.registered_ring = !options.no_registered_ring && io_uring_register_ring_fd(&ring_) == 1;
  features_.registered_files =
      !options.no_registered_files && io_uring_register_files_sparse(&ring_, k_file_table_size) == 0;
  unsigned workers[2] = {options.file_workers, options.other_workers};
  features_.worker_limits = io_uring_register_iowq_max_workers(&ring_, workers) == 0;
  return {};
}

std::shared_ptr<RegisteredRegion> UringRing::register_memory(std::uint64_t bytes) {
  // The limit of locked memory is the user's, and counts rings and what other processes have registered: what
  // is left of it may be less than asked, but still of use.
  for (; bytes >= k_registered_bytes_min; bytes /= 2) {
    void* memory = huge_pages().take(bytes);
    if (memory == nullptr) {
      features_.fixed_buffers_refused = fmt::format("mmap: {}", errno_text(errno));
      continue;
    }
    auto region = std::make_shared<RegisteredRegion>(std::span(static_cast<std::byte*>(memory), bytes));
    const iovec range{memory, bytes};
    const int result = io_uring_register_buffers(&ring_, &range, 1);
    if (result == 0) {
      features_.fixed_buffers = true;
      features_.registered_bytes = bytes;
      return region;
    }
    features_.fixed_buffers_refused = errno_text(-result);
    if (result != -ENOMEM) break;
    features_.fixed_buffers_refused += ", raise the limit of locked memory (ulimit -l)";
  }
  return nullptr;
}

bool UringRing::register_file(unsigned place, int fd) {
  return features_.registered_files && io_uring_register_files_update(&ring_, place, &fd, 1) == 1;
}

void UringRing::check(int result) const {
  // EBUSY, EAGAIN: the kernel wants its completions reaped first; what is filled in goes with the next call.
  const bool expected =
      result >= 0 || result == -ETIME || result == -EINTR || result == -EBUSY || result == -EAGAIN;
  CHECK(expected, "io_uring_enter: {}", errno_text(-result));
}

void UringRing::enter() {
  check(io_uring_submit_and_get_events(&ring_));
}

void UringRing::enter_and_wait(Duration timeout) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  __kernel_timespec time{.tv_sec = seconds.count(), .tv_nsec = (timeout - seconds).count()};
  io_uring_cqe* first = nullptr;
  check(io_uring_submit_and_wait_timeout(&ring_, &first, 1, timeout == k_no_timeout ? nullptr : &time,
                                         nullptr));
}

Result<UringFeatures> probe_uring(const UringOptions& options) {
  TRY(auto ring, UringRing::create(options));
  if (options.registered_bytes > 0 && !options.no_fixed_buffers)
    (void)ring->register_memory(options.registered_bytes);
  return ring->features();
}

}  // namespace millrace
