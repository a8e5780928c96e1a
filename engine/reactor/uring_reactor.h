// UringReactor: the reactor on io_uring. One ring and one thread a shard; a turn is
//
//   time -> completions -> timers -> plain system calls -> messages -> coroutines -> one io_uring_enter
//
// and that one call submits everything the turn has begun and sleeps if there is nothing to do, and there was
// nothing for UringOptions::busy_poll.
//
// What the kernel or the file system lacks costs speed and one log line, never the start (uring_options.h).
// Sockets and files are in blocking mode: the ring waits for them, not the thread. Use it through
// shard_threads.h.
#pragma once

#include <memory>
#include <vector>

#include "engine/reactor/chunked_array.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/ring_queue.h"
#include "engine/reactor/shard_mail.h"
#include "engine/reactor/timer_heap.h"
#include "engine/reactor/uring_flight.h"
#include "engine/reactor/uring_options.h"
#include "engine/reactor/uring_ring.h"

namespace millrace {

class UringReactor final : public Reactor {
 public:
  struct Setup {
    ShardId shard{0};
    UringOptions options;
    BufferPool::Options buffers;
    LogSink log;
  };
  // On the thread that runs it. `mail` outlives the reactor. Errors: those of probe_uring().
  [[nodiscard]] static Result<std::unique_ptr<UringReactor>> create(const Setup& setup, ShardMail& mail);
  // Calls stop(), if nobody has.
  ~UringReactor() override;

  // Runs turns until `main` has ended.
  void run(Task<void> main);
  // Destroys the remaining tasks, cancels what is in flight and waits until the kernel has let go of all of
  // it.
  void stop();

  [[nodiscard]] const UringFeatures& features() const { return ring_->features(); }
  // The memory registered with the ring, or null, from run() on; whoever keeps buffers beyond the reactor
  // keeps it, too.
  [[nodiscard]] std::shared_ptr<RegisteredRegion> region() const { return region_; }

  // Standard input and output as files. Positions are ignored: reads return what there is, at least a byte,
  // and 0 at the end; writes follow each other, with connection_lost when nobody reads there any more. For
  // tools.
  [[nodiscard]] File standard_input();
  [[nodiscard]] File standard_output();

  [[nodiscard]] WallTime wall_clock() const override;
  [[nodiscard]] std::uint64_t random() override;
  void post(ShardId target, Message message) override;
  [[nodiscard]] Address local_address(const Socket& socket) const override;
  [[nodiscard]] Address peer_address(const Socket& socket) const override;
  [[nodiscard]] bool peer_has_ended(const Socket& socket) const override;

 private:
  using State = Flight::State;
  using Step = Flight::Step;
  // What a completion is about, beside the number it carries.
  enum class Kind : std::uint8_t { operation, cancel, close, doorbell, rung, event, memory };
  struct Entry {
    Kind kind{};
    std::uint32_t number = 0;  // slot, descriptor or shard
    std::uint32_t serial = 0;
  };

  UringReactor(const Setup& setup, ShardMail& mail, std::unique_ptr<UringRing> ring);

  // ---- the turn (uring_reactor.cpp) -------------------------------------------------------------
  void register_memory(std::uint64_t bytes);
  void turn();
  void end_what_has_ended();  // and may have been waited for: before coroutines run
  void hand_over();           // messages, bells and submissions: after they have run
  void reap();
  void fire_timers();
  void run_soon();
  void submit_and_sleep(bool sleep);
  void poll();
  [[nodiscard]] Duration time_to_next_timer() const;
  void open_door();
  void ring_doorbells();
  void arm_event();
  void end_entry(Entry entry, int result, unsigned flags);

  // ---- an operation's way (uring_operations.cpp) ------------------------------------------------
  void begin(std::uint32_t slot) override;
  void cancel(std::uint32_t slot) override;
  void cancel_flight(std::uint32_t slot, bool late);
  void release_handle(HandleState* state) override;
  void end(std::uint32_t slot, Outcome outcome);
  void end_with_error(std::uint32_t slot, int error);
  void end_soon(std::uint32_t slot, int error);
  void do_soon(std::uint32_t slot);

  // ---- requests become submissions (uring_submit.cpp) -------------------------------------------
  void submit(Entry entry);
  void submit_operation(std::uint32_t slot);
  void submit_waiting();
  void submit_memory(std::span<std::byte> memory);
  void fill_in(io_uring_sqe& sqe, Entry entry);
  void fill_in_operation(io_uring_sqe& sqe, std::uint32_t slot);
  void fill_in_read_or_write(io_uring_sqe& sqe, std::uint32_t slot);
  void fill_in_send(io_uring_sqe& sqe, std::uint32_t slot);
  void fill_in_receive(io_uring_sqe& sqe, std::uint32_t slot);
  void fill_in_transfer(io_uring_sqe& sqe, std::uint32_t slot);
  [[nodiscard]] unsigned fill_in_ranges(std::uint32_t slot);

  // ---- completions become outcomes (uring_complete.cpp) -----------------------------------------
  void complete(std::uint32_t slot, int result, unsigned flags);
  void complete_read(std::uint32_t slot, std::uint64_t count);
  void complete_write(std::uint32_t slot, std::uint64_t count);
  void complete_send(std::uint32_t slot, std::uint64_t count);
  void complete_receive(std::uint32_t slot, std::uint64_t count, unsigned flags);
  void complete_transfer(std::uint32_t slot, std::uint64_t count);
  void complete_open(std::uint32_t slot, UniqueFd fd);
  void complete_socket(std::uint32_t slot, UniqueFd fd);
  void complete_with_error(std::uint32_t slot, int error);
  [[nodiscard]] int allocate_by_size(std::uint32_t slot);
  [[nodiscard]] bool again(std::uint32_t slot, int error);
  [[nodiscard]] bool write_without_dsync(std::uint32_t slot, int error);
  void return_pipe(Pipe pipe, std::uint64_t left_in_it);

  // ---- plain system calls that do not block (uring_files.cpp, uring_sockets.cpp) ----------------
  [[nodiscard]] bool is_plain(Verb verb) const;
  void do_plain(std::uint32_t slot);
  [[nodiscard]] bool try_later(std::uint32_t slot);
  void take_lock(std::uint32_t slot);
  [[nodiscard]] Outcome open_listener(const Address& address);
  // What an operation needs before its first submission; 0 or an errno.
  [[nodiscard]] int prepare_operation(std::uint32_t slot);
  [[nodiscard]] int prepare_connect(std::uint32_t slot);
  [[nodiscard]] int prepare_transfer(std::uint32_t slot);
  [[nodiscard]] int prepare_signal(std::uint32_t slot);
  [[nodiscard]] Handle make_handle(UniqueFd fd, std::string label);
  void set_direct(UringHandle& handle);
  void pin(std::uint64_t number, int fd);
  void unpin(std::uint64_t number);
  void unpin_everywhere(std::uint64_t number);
  [[nodiscard]] File standard_stream(int fd, const char* label);

  UringOptions options_;
  ShardMail& mail_;
  Mailbox mailbox_;
  std::unique_ptr<UringRing> ring_;
  std::shared_ptr<RegisteredRegion> region_;
  std::uint64_t registered_bytes_;  // to register when it begins to run
  ChunkedArray<Flight> flights_;
  TimerHeap timers_;
  RingQueue<Entry> waiting_;       // for room in the submission ring
  RingQueue<std::uint32_t> soon_;  // slots
  UniqueFd event_;                 // wakes this shard where rings cannot
  std::vector<Pipe> idle_pipes_;
  std::vector<std::uint64_t> pins_;  // by place in the ring's file table; 0: free
  std::vector<std::uint64_t> unpin_later_;
  std::uint32_t writes_in_flight_ = 0;
  std::uint32_t closes_in_flight_ = 0;
  std::uint64_t next_pin_ = 1;
  std::array<std::uint64_t, 32> entropy_{};
  std::size_t entropy_left_ = 0;
  MonotonicTime heard_{};  // when something was completed last, or a message came
  bool main_ended_ = false;
  bool stopped_ = false;
  // Said once a reactor.
  bool said_no_direct_ = false;
  bool said_no_dsync_ = false;
  bool said_no_allocate_ = false;
};

}  // namespace millrace
