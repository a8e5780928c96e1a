// Reactor: a shard's only door to the outside. Files, sockets, time, entropy and the other shards are reached
// through it, so the same server runs on io_uring (uring_reactor.h) and in simulation (sim_reactor.h).
//
// A verb starts its operation at once and returns an Operation. Its life:
//
//      verb called -> queued -> submitted (one submission a turn) -> completed -> result taken by co_await
//                                              |
//                  Operation destroyed ------- + --> cancelled; the slot keeps buffers and handles until the
//                  kernel
//                                                    has let go of them
//
// What holds for every verb and backend (tests/reactor/contract_*_test.cpp run it on all of them):
// - no result is delivered, and no waiting coroutine runs, before the verb has returned;
// - an Operation may be dropped at any time; its buffers and handles live until its last completion;
// - several operations may be in flight; they complete in any order. On one socket at most one receive and
// one send at a
//   time (CHECKed), so the bytes keep their order;
// - when the ring is full, operations wait in order in the reactor; nothing fails for it;
// - a deadline cancels the operation and gives timed_out; bytes may have moved by then;
// - errors carry the verb, the name and the reason.
//
// Everything here is for the reactor's own thread; post() is how it reaches another shard's.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/reactor/request.h"
#include "engine/reactor/task.h"

namespace millrace {

class Reactor;
class OperationTable;

// What a shard does for another: runs there, with that shard's reactor, in the order of posting between each
// two shards.
using Message = std::move_only_function<void(Reactor&)>;
// What a Message holds without allocating, in libstdc++.
inline constexpr std::size_t k_message_inline_size = 3 * sizeof(void*);

// A place in the queue of coroutines to resume; lets a destroyed waiter take itself out.
using Ticket = std::uint64_t;

enum class LogLevel : std::uint8_t { debug, info, warning, error };
// Where the engine's log lines go; `tools` puts spdlog behind it. Called on any shard.
using LogSink = std::function<void(LogLevel, ShardId, WallTime, const std::string& line)>;

namespace reactor_detail {
struct OperationRef {
  Reactor* reactor = nullptr;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};
bool is_complete(const OperationRef& op);
void set_waiter(const OperationRef& op, std::coroutine_handle<> waiter);
Result<Outcome> take(const OperationRef& op);  // frees the slot
void abandon(const OperationRef& op);          // cancels if still in flight
template <class T>
T convert(Outcome&& outcome);
template <>
std::uint64_t convert(Outcome&& outcome);
template <>
File convert(Outcome&& outcome);
template <>
Socket convert(Outcome&& outcome);
template <>
std::vector<FolderEntry> convert(Outcome&& outcome);
}  // namespace reactor_detail

// An operation in flight: await it once, or drop it to cancel it.
template <class T>
class [[nodiscard]] Operation {
 public:
  explicit Operation(reactor_detail::OperationRef ref) : ref_(ref) {}
  Operation(Operation&& other) noexcept : ref_(std::exchange(other.ref_, {})) {}
  Operation& operator=(Operation&& other) noexcept {
    std::swap(ref_, other.ref_);
    return *this;
  }
  ~Operation() {
    if (ref_.reactor != nullptr) reactor_detail::abandon(ref_);
  }

  bool await_ready() const { return reactor_detail::is_complete(ref_); }
  void await_suspend(std::coroutine_handle<> waiter) const { reactor_detail::set_waiter(ref_, waiter); }
  Result<T> await_resume() {
    auto outcome = reactor_detail::take(std::exchange(ref_, {}));
    if (!outcome) return fail(std::move(outcome).error());
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return reactor_detail::convert<T>(*std::move(outcome));
    }
  }

 private:
  reactor_detail::OperationRef ref_;
};

struct ReactorCounters {
  std::uint64_t turns = 0;
  std::uint64_t operations = 0;         // started
  std::uint64_t operations_queued = 0;  // had to wait because the ring was full
  std::uint64_t messages = 0;           // posted to this shard and run
  std::uint64_t polls = 0;              // turns that looked for more to do instead of sleeping
};

class Reactor {
 public:
  virtual ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // ---- who and when -----------------------------------------------------------------------------
  [[nodiscard]] ShardId shard() const { return shard_; }
  [[nodiscard]] std::uint32_t shard_count() const { return shard_count_; }
  // Read once a turn.
  [[nodiscard]] MonotonicTime now() const { return now_; }
  [[nodiscard]] virtual WallTime wall_clock() const = 0;
  // 64 random bits; in simulation, the seed's.
  [[nodiscard]] virtual std::uint64_t random() = 0;
  [[nodiscard]] BufferPool& buffers() { return *buffers_; }
  [[nodiscard]] const ReactorCounters& counters() const { return counters_; }
  void log(LogLevel level, const std::string& line);

  // ---- running things ---------------------------------------------------------------------------
  // Starts a task that nobody waits for; it begins in this turn, after the caller has returned or suspended.
  // The reactor owns it, and destroys it unfinished only when the reactor itself goes.
  void spawn(Task<void> task);
  // Resumes a coroutine in this turn, after those already scheduled. Whoever may be destroyed before that
  // keeps the ticket and calls unschedule() (harmless when it has already run).
  Ticket schedule(std::coroutine_handle<> handle);
  void unschedule(Ticket ticket);
  // co_await reactor.yield(): lets everything that can run now run first; what arrives meanwhile waits for
  // the next turn. Group commit stands on it.
  class Yield;
  [[nodiscard]] Yield yield();
  // Runs `message` on another shard (or this one, later in the turn). Bounded: when the target lags, messages
  // wait here. Messages that a stopped shard has not run are destroyed unrun.
  virtual void post(ShardId target, Message message) = 0;

  // ---- time and the process ---------------------------------------------------------------------
  Operation<void> sleep_until(MonotonicTime time);
  Operation<void> sleep(Duration duration) { return sleep_until(now() + duration); }
  // Completes when the process is asked to stop (SIGINT, SIGTERM); count is the signal's number. On one shard
  // only.
  Operation<std::uint64_t> wait_signal();

  // ---- folders and names (paths are relative to the working directory or absolute) --------------
  Operation<void> create_folder(std::string path);           // already_exists; the parent must exist
  Operation<void> remove_folder(std::string path);           // must be empty
  Operation<void> remove_file(std::string path);             // not_found
  Operation<void> rename(std::string from, std::string to);  // replaces `to`
  // Names created, renamed and removed in the folder before the call are durable when it completes.
  Operation<void> sync_folder(std::string path);
  Operation<std::vector<FolderEntry>> list(std::string path);  // sorted by name; not_found
  // Takes an exclusive lock that lasts until the File is gone AND every write of this process in flight has
  // ended (the descriptor is registered with every ring); folder_in_use when another process has it. Creates
  // the file.
  Operation<File> lock(std::string path);
  Operation<std::uint64_t> free_space(std::string path);  // bytes an ordinary user may still write

  // ---- files ------------------------------------------------------------------------------------
  // Closed when the last File is gone and operations in flight on it have ended. not_found, already_exists
  // (create), permission_denied, io_error.
  Operation<File> open(std::string path, OpenOptions options);
  // Fills the slices from `position`; the count is less than asked only at the end of the file (0 there).
  Operation<std::uint64_t> read(File file, Slices into, std::uint64_t position);
  // Writes all the slices at `position`, or fails: a short write is an error (disk_full where that is why).
  // With Sync::data the bytes and the size they give the file are durable on completion; sync_failed if they
  // cannot be. A direct file wants block-aligned positions, lengths and memory (CHECKed). The bytes must not
  // change until completion.
  Operation<std::uint64_t> write(File file, Slices from, std::uint64_t position, Sync sync);
  // fdatasync; sync_failed is final for the process (nothing is known about the file any more).
  Operation<void> sync(File file);
  // Makes [position, position + length) part of the file, zeros where nothing was written; disk_full.
  Operation<void> allocate(File file, std::uint64_t position, std::uint64_t length);
  // Cuts the file to `length` bytes, or extends it with zeros; durable after sync(file).
  Operation<void> resize(File file, std::uint64_t length);
  Operation<std::uint64_t> size(File file);
  // Sends a range of a file to a socket without the bytes passing user space; the count may be short.
  Operation<std::uint64_t> transfer(File from, std::uint64_t position, std::uint64_t length, Socket to,
                                    MonotonicTime deadline = k_never);

  // ---- sockets (TCP, no delay) ------------------------------------------------------------------
  // Each shard may listen on the same address; the kernel spreads connections. Port 0 picks one: see
  // local_address(). unavailable when another process has it, and keeps it for a while: one that was killed
  // does not.
  Operation<Socket> listen(Address address);
  Operation<Socket> accept(Socket listener);
  Operation<Socket> connect(Address address, MonotonicTime deadline = k_never);
  // At least one byte, at most the slice; with Amount::all the whole slice, which costs no turn for each
  // piece that arrives, and less only when the peer has closed its side: 0 when it had before.
  // connection_lost, timed_out (some bytes may be in the slice).
  Operation<std::uint64_t> receive(Socket socket, Slice into, MonotonicTime deadline = k_never,
                                   Amount amount = Amount::some);
  // All of the slices or an error. connection_lost, timed_out (some bytes may have left).
  Operation<std::uint64_t> send(Socket socket, Slices from, MonotonicTime deadline = k_never);
  // Ends both directions: the peer sees the end, and operations waiting on the socket complete (receive with
  // 0 or connection_lost).
  Operation<void> shutdown(Socket socket);
  [[nodiscard]] virtual Address local_address(const Socket& socket) const = 0;
  [[nodiscard]] virtual Address peer_address(const Socket& socket) const = 0;
  // Whether the peer's end has come, or the connection is lost, however much is unread before it: for whoever
  // does not receive now. Costs a system call.
  [[nodiscard]] virtual bool peer_has_ended(const Socket& socket) const = 0;

 protected:
  Reactor(ShardId shard, std::uint32_t shard_count, BufferPool::Options buffers, LogSink sink);

  // ---- for backends -----------------------------------------------------------------------------
  // Begins the operation in `slot` (its Request stays put until finish()). Must not finish it before
  // returning.
  virtual void begin(std::uint32_t slot) = 0;
  // Asks for the operation to end early; finish() still follows, at once or later. Called at most once a
  // slot.
  virtual void cancel(std::uint32_t slot) = 0;
  // The last File or Socket of it is gone and no operation uses it: close and delete it.
  virtual void release_handle(HandleState* state) = 0;

  [[nodiscard]] Request& request(std::uint32_t slot);
  // The operation is over and the kernel holds nothing of it. Schedules whoever waits, or frees an abandoned
  // slot.
  void finish(std::uint32_t slot, Outcome outcome);
  // The part of a turn in which coroutines run: first what is scheduled, including what that schedules, until
  // nothing is left; then, once, those that had yielded by then, and what they schedule. True when some have
  // yielded again: they run at the end of the next turn, which must therefore not sleep.
  bool run_ready();
  // Runs `message` on this shard later in the turn: post() to oneself, or what has arrived from a peer.
  void run_later(Message message);
  void set_now(MonotonicTime now) { now_ = now; }
  // Destroys spawned tasks that have not finished (which cancels their operations), the youngest first.
  // Backends call it in their destructor at the latest, and end what is in flight after it.
  void destroy_tasks();
  [[nodiscard]] std::size_t operations_in_flight() const;

  ReactorCounters counters_;

 private:
  friend class Handle;
  friend bool reactor_detail::is_complete(const reactor_detail::OperationRef&);
  friend void reactor_detail::set_waiter(const reactor_detail::OperationRef&, std::coroutine_handle<>);
  friend Result<Outcome> reactor_detail::take(const reactor_detail::OperationRef&);
  friend void reactor_detail::abandon(const reactor_detail::OperationRef&);
  struct Scheduler;
  struct Draft;
  Draft prepare(Verb verb);
  template <class T>
  Operation<T> start(const Draft& draft);
  template <class T>
  Operation<T> start_on_path(Verb verb, std::string path);

  ShardId shard_;
  std::uint32_t shard_count_;
  MonotonicTime now_{};
  std::unique_ptr<BufferPool> buffers_;
  LogSink sink_;
  std::unique_ptr<OperationTable> operations_;
  std::unique_ptr<Scheduler> scheduler_;
  Ticket schedule_yielded(std::coroutine_handle<> handle);
};

class Reactor::Yield {
 public:
  explicit Yield(Reactor& reactor) : reactor_(reactor) {}
  Yield(const Yield&) = delete;
  Yield& operator=(const Yield&) = delete;
  ~Yield() {
    if (ticket_ != 0) reactor_.unschedule(ticket_);
  }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> h) { ticket_ = reactor_.schedule_yielded(h); }
  void await_resume() { ticket_ = 0; }

 private:
  Reactor& reactor_;
  Ticket ticket_ = 0;  // tickets count from 1
};

inline Reactor::Yield Reactor::yield() {
  return Yield(*this);
}

}  // namespace millrace
