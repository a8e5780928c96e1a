#include "bench/support/child.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sched.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "bench/support/settings.h"

namespace millrace::bench {
namespace {

constexpr int k_exit_not_started = 127;  // as shells have it

// In the child, between vfork and exec: system calls only. Returns when exec fails.
void become(char* const* words, int output, const cpu_set_t& cpus) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(output, STDOUT_FILENO);
  if (::sched_setaffinity(0, sizeof cpus, &cpus) != 0) return;
  ::execvp(words[0], words);
}

cpu_set_t cpus_of(std::optional<int> cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (cpu)
    CPU_SET(static_cast<std::size_t>(*cpu), &cpus);
  else
    for (const int allowed : allowed_cpus()) CPU_SET(static_cast<std::size_t>(allowed), &cpus);
  return cpus;
}

}  // namespace

Result<Child> Child::start(const std::vector<std::string>& words, std::optional<int> cpu) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::io_error, "pipe: {}", std::strerror(errno));
  UniqueFd output(ends[0]);
  const UniqueFd input(ends[1]);
  const cpu_set_t cpus = cpus_of(cpu);
  // Not fork: it would make every page that the measured engine writes afterwards cost a fault.
  const pid_t pid = ::vfork();  // NOLINT(bugprone-unsafe-functions): the child does nothing but exec
  if (pid == 0) {
    become(pointers.data(), input.get(), cpus);
    ::_exit(k_exit_not_started);
  }
  if (pid < 0) return fail(ErrorCode::io_error, "vfork: {}", std::strerror(errno));
  return Child(pid, std::move(output), words.front());
}

Child::Child(pid_t pid, UniqueFd output, std::string name)
    : pid_(pid), output_(std::move(output)), name_(std::move(name)) {}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), output_(std::move(other.output_)), name_(std::move(other.name_)) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(output_, other.output_);
  std::swap(name_, other.name_);
  return *this;
}

Child::~Child() {
  kill();
}

void Child::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(std::exchange(pid_, -1), nullptr, 0);
}

Result<std::string> Child::read_line(std::chrono::milliseconds patience) {
  std::string line;
  for (char c = 0;;) {
    pollfd wait{.fd = output_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(patience.count())) == 0)
      return fail(ErrorCode::timed_out, "{} said nothing for {} ms", name_, patience.count());
    if (::read(output_.get(), &c, 1) <= 0)
      return fail(ErrorCode::io_error, "{} ended without a word on standard output", name_);
    if (c == '\n') return line;
    line.push_back(c);
  }
}

Result<std::string> Child::read_all() {
  std::string all;
  std::vector<char> piece(std::size_t{64} << 10);
  for (;;) {
    const ssize_t count = ::read(output_.get(), piece.data(), piece.size());
    if (count == 0) return all;
    if (count < 0 && errno != EINTR)
      return fail(ErrorCode::io_error, "reading from {}: {}", name_, std::strerror(errno));
    if (count > 0) all.append(piece.data(), static_cast<std::size_t>(count));
  }
}

void Child::ask_to_stop() const {
  ::kill(pid_, SIGTERM);
}

Result<void> Child::wait() {
  int status = 0;
  if (::waitpid(std::exchange(pid_, -1), &status, 0) < 0)
    return fail(ErrorCode::io_error, "waiting for {}: {}", name_, std::strerror(errno));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == k_exit_not_started)
    return fail(ErrorCode::not_found, "cannot start {}", name_);
  return fail(ErrorCode::io_error, "{} ended with {} {}", name_, WIFEXITED(status) ? "status" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

// proc(5), /proc/PID/stat: user and system time are fields 14 and 15; the name, field 2, is in parentheses.
double Child::cpu_seconds() const {
  std::ostringstream text;
  text << std::ifstream("/proc/" + std::to_string(pid_) + "/stat").rdbuf();
  const std::string all = std::move(text).str();
  std::istringstream fields(all.substr(std::min(all.rfind(')') + 1, all.size())));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// proc(5), /proc/PID/io: lines "name: value".
std::uint64_t Child::written_bytes() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/io");
  std::string name;
  std::uint64_t value = 0;
  while (file >> name >> value && name != "write_bytes:") continue;
  return value;
}

// proc(5), /proc/PID/statm: size and resident set, in pages.
std::uint64_t Child::resident_bytes() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace millrace::bench
