#include "tests/crash/program.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/check.h"

namespace millrace::test {
namespace {

constexpr int k_deadline_ms = 120'000;

// In the child, between fork and exec.
[[noreturn]] void become(std::vector<char*>& arguments, const char* input, int output, int errors) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int in = ::open(input, O_RDONLY);
  if (in >= 0 && ::dup2(in, 0) >= 0 && ::dup2(output, 1) >= 0 && ::dup2(errors, 2) >= 0) {
    ::execv(arguments[0], arguments.data());
  }
  ::_exit(127);
}

bool wait_readable(int fd) {
  pollfd wanted{.fd = fd, .events = POLLIN, .revents = 0};
  int count = 0;
  do count = ::poll(&wanted, 1, k_deadline_ms);
  while (count < 0 && errno == EINTR);
  return count > 0;
}

}  // namespace

Program::Program(const std::vector<std::string>& command, const ProgramInput& input) {
  std::array<int, 2> pipe{};
  CHECK(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  output_ = pipe[0];
  errors_ = ::memfd_create("errors", MFD_CLOEXEC);
  CHECK(errors_ >= 0);
  std::vector<std::string> texts = command;
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  pid_ = ::fork();
  CHECK(pid_ >= 0);
  if (pid_ == 0) become(arguments, input.file.c_str(), pipe[1], errors_);
  ::close(pipe[1]);
}

Program::~Program() {
  if (!status_) {
    kill();
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(output_);
  ::close(errors_);
}

bool Program::read_more() {
  if (!wait_readable(output_)) {
    ADD_FAILURE() << "the program says nothing more; it said: " << read_ << "\n" << errors();
    return false;
  }
  std::array<char, 64 << 10> buffer;
  const ssize_t count = ::read(output_, buffer.data(), buffer.size());
  if (count <= 0) return false;
  read_.append(buffer.data(), static_cast<std::size_t>(count));
  return true;
}

std::optional<std::string> Program::next_line() {
  std::size_t end = 0;
  while ((end = read_.find('\n')) == std::string::npos) {
    if (!read_more()) return std::nullopt;
  }
  std::string line = read_.substr(0, end);
  read_.erase(0, end + 1);
  return line;
}

std::string Program::rest() {
  while (read_more()) {
  }
  return std::exchange(read_, {});
}

std::string Program::errors() const {
  std::string text(static_cast<std::size_t>(::lseek(errors_, 0, SEEK_END)), '\0');
  const ssize_t count = ::pread(errors_, text.data(), text.size(), 0);
  text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return text;
}

void Program::signal(int number) {
  if (!status_) ::kill(pid_, number);
}
void Program::kill() {
  signal(SIGKILL);
}
void Program::terminate() {
  signal(SIGTERM);
}

int Program::wait() {
  if (status_) return *status_;
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  CHECK(process >= 0);
  if (!wait_readable(process)) {
    ADD_FAILURE() << "the program does not end; it said: " << errors();
    kill();
  }
  ::close(process);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return *status_;
}

ProgramEnd run_program(const std::vector<std::string>& command, const ProgramInput& input) {
  Program program(command, input);
  ProgramEnd end;
  end.output = program.rest();
  end.status = program.wait();
  end.errors = program.errors();
  return end;
}

}  // namespace millrace::test
