// What the ring has no operation for, or none worth its price: plain system calls that answer from memory.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

#include "engine/reactor/uring_reactor.h"

namespace millrace {
namespace {

// A process that was killed holds its lock until its last write has ended, and its port until its rings are
// gone: 5 tries in 250 ms.
constexpr std::uint8_t k_attempts = 5;
constexpr Duration k_attempts_pause = std::chrono::milliseconds(50);

Outcome failed(int error) {
  Outcome outcome;
  outcome.error = error;
  return outcome;
}
Outcome done_unless(int result) {
  return result < 0 ? failed(errno) : Outcome{};
}

Outcome size_of(int fd) {
  struct stat found{};
  Outcome outcome = done_unless(::fstat(fd, &found));
  outcome.count = static_cast<std::uint64_t>(found.st_size);
  return outcome;
}

Outcome free_space_of(const std::string& path) {
  struct statvfs found{};
  Outcome outcome = done_unless(::statvfs(path.c_str(), &found));
  outcome.count = std::uint64_t{found.f_bavail} * found.f_frsize;
  return outcome;
}

Outcome entries_of(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (folder == nullptr) return failed(errno);
  Outcome outcome;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(folder.get());
    if (entry == nullptr) break;
    const std::string_view entry_name = entry->d_name;
    if (entry_name == "." || entry_name == "..") continue;
    bool is_folder = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN) {
      struct stat found{};
      is_folder = ::fstatat(::dirfd(folder.get()), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
                  S_ISDIR(found.st_mode);
    }
    outcome.entries.push_back({std::string(entry_name), is_folder});
  }
  if (errno != 0) return failed(errno);
  std::ranges::sort(outcome.entries);
  return outcome;
}

}  // namespace

bool UringReactor::is_plain(Verb verb) const {
  switch (verb) {
    case Verb::size:
    case Verb::list:
    case Verb::lock:
    case Verb::free_space:
    case Verb::listen:
    case Verb::shutdown:
      return true;
    case Verb::resize:
      return !features().resize_opcode;
    case Verb::allocate:
      return options_.no_fallocate;
    default:
      return false;
  }
}

void UringReactor::do_plain(std::uint32_t slot) {
  const Request& wanted = request(slot);
  const int fd = wanted.handle ? uring_handle(wanted.handle).fd : -1;
  switch (wanted.verb) {
    case Verb::size:
      return end(slot, size_of(fd));
    case Verb::list:
      return end(slot, entries_of(wanted.path));
    case Verb::lock:
      return take_lock(slot);
    case Verb::free_space:
      return end(slot, free_space_of(wanted.path));
    case Verb::listen: {
      Outcome outcome = open_listener(wanted.address);
      if (outcome.error == EADDRINUSE && try_later(slot)) return;
      return end(slot, std::move(outcome));
    }
    case Verb::shutdown:
      // A connection that the peer has ended is shut down already.
      return end(slot, ::shutdown(fd, SHUT_RDWR) < 0 && errno != ENOTCONN ? failed(errno) : Outcome{});
    case Verb::allocate:
      return end(slot, failed(allocate_by_size(slot)));
    default:
      return end(slot, done_unless(::ftruncate(fd, static_cast<off_t>(wanted.length))));
  }
}

int UringReactor::prepare_operation(std::uint32_t slot) {
  const Request& wanted = request(slot);
  switch (wanted.verb) {
    case Verb::sync_folder: {
      UniqueFd folder(::open(wanted.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!folder) return errno;
      flights_[slot].fd = std::move(folder);
      return 0;
    }
    case Verb::connect:
      return prepare_connect(slot);
    case Verb::transfer:
      return prepare_transfer(slot);
    case Verb::signal:
      return prepare_signal(slot);
    default:
      return 0;
  }
}

int UringReactor::prepare_transfer(std::uint32_t slot) {
  if (!features().splice) return EOPNOTSUPP;
  Pipe& pipe = flights_[slot].pipe;
  if (!idle_pipes_.empty()) {
    pipe = std::move(idle_pipes_.back());
    idle_pipes_.pop_back();
    return 0;
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno;
  pipe = {UniqueFd(ends[0]), UniqueFd(ends[1])};
  // A user may own only so much memory in pipes; a smaller one takes more rounds.
  (void)::fcntl(ends[0], F_SETPIPE_SZ, static_cast<int>(k_transfer_max));
  return 0;
}

int UringReactor::prepare_signal(std::uint32_t slot) {
  if (!options_.signals) return EINVAL;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!fd) return errno;
  flights_[slot].fd = std::move(fd);
  return 0;
}

// Of what another process holds; false after the last attempt.
bool UringReactor::try_later(std::uint32_t slot) {
  Flight& flight = flights_[slot];
  if (++flight.attempts > k_attempts) return false;
  flight.state = State::timer;
  timers_.add(slot, now() + k_attempts_pause);
  return true;
}

// ---- the lock -----------------------------------------------------------------------------------

// A lock has to outlast the writes of its process: after a kill the kernel drops descriptors first and waits
// for writes in flight later. What a ring holds in its file table goes only after the ring's operations, so
// every shard's ring holds the lock; a release reaches each shard after the writes it has in flight.
void UringReactor::take_lock(std::uint32_t slot) {
  const Request& wanted = request(slot);
  UniqueFd fd(::open(wanted.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  const int refused = fd ? 0 : errno;
  // flock(2) asks for no right to write: on a read-only copy the lock keeps everybody else out as well.
  if (refused == EROFS || refused == EACCES) fd = UniqueFd(::open(wanted.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return end_with_error(slot, refused);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error == EWOULDBLOCK && try_later(slot)) return;
    return end_with_error(slot, error);
  }
  // All that can fail comes first: a ring would keep a lock that nobody was given.
  std::vector<UniqueFd> copies(shard_count());
  for (std::uint32_t target = 0; target < shard_count(); ++target) {
    if (ShardId{target} == shard()) continue;
    copies[target] = UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!copies[target]) return end_with_error(slot, errno);
  }
  const std::uint64_t number = std::uint64_t{shard().value()} << 32 | next_pin_++;
  pin(number, fd.get());
  for (std::uint32_t target = 0; target < shard_count(); ++target) {
    if (ShardId{target} == shard()) continue;
    post(ShardId{target}, [number, held = std::move(copies[target])](Reactor& there) {
      static_cast<UringReactor&>(there).pin(number, held.get());
    });
  }
  Outcome outcome;
  outcome.handle = make_handle(std::move(fd), wanted.path);
  uring_handle(outcome.handle).pin = number;
  end(slot, std::move(outcome));
}

void UringReactor::pin(std::uint64_t number, int fd) {
  const auto place = std::ranges::find(pins_, std::uint64_t{0});
  if (place == pins_.end() || !ring_->register_file(static_cast<unsigned>(place - pins_.begin()), fd)) {
    log(LogLevel::warning,
        "the lock cannot be registered with the ring: after a kill, wait a second before the next start");
    return;
  }
  *place = number;
}

void UringReactor::unpin(std::uint64_t number) {
  if (writes_in_flight_ > 0) {
    unpin_later_.push_back(number);
    return;
  }
  const auto place = std::ranges::find(pins_, number);
  if (place == pins_.end()) return;
  (void)ring_->register_file(static_cast<unsigned>(place - pins_.begin()), -1);
  *place = 0;
}

void UringReactor::unpin_everywhere(std::uint64_t number) {
  unpin(number);
  for (std::uint32_t target = 0; target < shard_count(); ++target) {
    if (ShardId{target} == shard()) continue;
    post(ShardId{target}, [number](Reactor& there) { static_cast<UringReactor&>(there).unpin(number); });
  }
}

// ---- descriptors --------------------------------------------------------------------------------

Handle UringReactor::make_handle(UniqueFd fd, std::string label) {
  auto state = std::make_unique<UringHandle>();
  state->reactor = this;
  state->label = std::move(label);
  state->fd = fd.release();
  return Handle(state.release());
}

File UringReactor::standard_stream(int fd, const char* label) {
  const Handle handle = make_handle(UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), label);
  uring_handle(handle).stream = true;
  return File(handle.state());
}

File UringReactor::standard_input() {
  return standard_stream(STDIN_FILENO, "standard input");
}
File UringReactor::standard_output() {
  return standard_stream(STDOUT_FILENO, "standard output");
}

}  // namespace millrace
