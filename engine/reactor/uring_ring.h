// One io_uring: set up with the best flags that the kernel takes, entered once a turn.
#pragma once

#include <cstdint>
#include <liburing.h>
#include <memory>
#include <span>

#include "engine/base/error.h"
#include "engine/base/time.h"
#include "engine/reactor/uring_options.h"

namespace millrace {

// IORING_OP_FTRUNCATE, Linux 6.9; liburing has no name for it before 2.6. Used only after the kernel was
// asked.
inline constexpr std::uint8_t k_op_ftruncate = 55;

// Memory that is registered with a ring. It must outlive every buffer that was carved from it.
class RegisteredRegion {
 public:
  explicit RegisteredRegion(std::span<std::byte> bytes) : bytes_(bytes) {}
  RegisteredRegion(const RegisteredRegion&) = delete;
  RegisteredRegion& operator=(const RegisteredRegion&) = delete;
  ~RegisteredRegion();
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  [[nodiscard]] bool contains(const void* memory) const {
    return memory >= bytes_.data() && memory < bytes_.data() + bytes_.size();
  }

 private:
  std::span<std::byte> bytes_;
};

class UringRing {
 public:
  // Files that a ring can hold on to (see UringReactor::pin).
  static constexpr unsigned k_file_table_size = 16;

  // On the thread that will use it.
  [[nodiscard]] static Result<std::unique_ptr<UringRing>> create(const UringOptions& options);
  UringRing(const UringRing&) = delete;
  UringRing& operator=(const UringRing&) = delete;
  ~UringRing();

  [[nodiscard]] const UringFeatures& features() const { return features_; }
  [[nodiscard]] int fd() const { return ring_.ring_fd; }

  // An entry to fill in, or nullptr when this turn's submission is full.
  [[nodiscard]] io_uring_sqe* entry() { return io_uring_get_sqe(&ring_); }
  // Submits what was filled in and fetches completions; one system call.
  void enter();
  // The same, and sleeps until there is a completion or `timeout` has passed (k_no_timeout: for ever).
  static constexpr Duration k_no_timeout = Duration::max();
  void enter_and_wait(Duration timeout);
  // Calls handle(user_data, result, flags) for each completion; how many there were.
  template <class Handle>
  unsigned reap(Handle handle);
  [[nodiscard]] bool has_completions() const { return io_uring_cq_ready(&ring_) > 0; }

  // Registers fresh memory as buffer 0; null, with the reason in features(), when the kernel refuses.
  [[nodiscard]] std::shared_ptr<RegisteredRegion> register_memory(std::uint64_t bytes);
  // Puts a descriptor (or -1) in a place of the file table; false when the kernel refuses.
  [[nodiscard]] bool register_file(unsigned place, int fd);

 private:
  UringRing() = default;
  [[nodiscard]] Result<void> set_up(const UringOptions& options);
  [[nodiscard]] int set_up_with(const UringOptions& options, unsigned entries, unsigned flags);
  [[nodiscard]] Result<void> probe(const UringOptions& options);
  void check(int result) const;

  io_uring ring_{};
  bool exists_ = false;
  UringFeatures features_;
};

template <class Handle>
unsigned UringRing::reap(Handle handle) {
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* completion = nullptr;
  io_uring_for_each_cqe(&ring_, head, completion) {
    handle(completion->user_data, completion->res, completion->flags);
    ++count;
  }
  io_uring_cq_advance(&ring_, count);
  return count;
}

}  // namespace millrace
