#include "tests/tools/process.h"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "engine/base/check.h"

extern char** environ;

namespace millrace::tools::test {
namespace {

struct Pipe {
  Pipe() { CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0); }
  std::array<int, 2> ends{};
  [[nodiscard]] int reader() const { return ends[0]; }
  [[nodiscard]] int writer() const { return ends[1]; }
};

void close_once(int& fd) {
  if (fd >= 0) ::close(std::exchange(fd, -1));
}

std::vector<std::string> environment_of(const Environment& added) {
  std::vector<std::string> all;
  for (char** each = environ; *each != nullptr; ++each) {
    if (!std::string_view(*each).starts_with("MILLRACE_")) all.emplace_back(*each);
  }
  for (const auto& [name, value] : added) all.push_back(std::string(name).append("=").append(value));
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Reads what there is; false at the end.
bool read_more(int fd, std::string& into) {
  std::array<char, 65536> piece;
  const ssize_t count = ::read(fd, piece.data(), piece.size());
  if (count > 0) into.append(piece.data(), static_cast<std::size_t>(count));
  return count > 0;
}

}  // namespace

Process::Process(const Arguments& arguments, const Environment& environment, const std::string& program) {
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<std::string> words{program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment_of(environment);
  const std::vector<char*> word_pointers = pointers_to(words), variable_pointers = pointers_to(variables);
  const Pipe in, out, err;
  pid_ = ::fork();
  CHECK(pid_ >= 0);
  if (pid_ == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(in.reader(), STDIN_FILENO);
    ::dup2(out.writer(), STDOUT_FILENO);
    ::dup2(err.writer(), STDERR_FILENO);
    ::execve(program.c_str(), word_pointers.data(), variable_pointers.data());
    ::_exit(127);
  }
  ::close(in.reader());
  ::close(out.writer());
  ::close(err.writer());
  input_ = in.writer();
  output_ = out.reader();
  error_ = err.reader();
}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    wait();
  }
  close_input();
  close_output();
  close_once(error_);
}

bool Process::write_input(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t count = ::write(input_, text.data() + at, text.size() - at);
    if (count < 0) return false;
    at += static_cast<std::size_t>(count);
  }
  return true;
}

void Process::close_input() {
  close_once(input_);
}
void Process::close_output() {
  close_once(output_);
}

std::string Process::read_line() {
  std::size_t end = 0;
  while ((end = read_.find('\n')) == std::string::npos) {
    if (!read_more(output_, read_)) return std::exchange(read_, {});
  }
  std::string line = read_.substr(0, end + 1);
  read_.erase(0, end + 1);
  return line;
}

void Process::signal(int number) {
  CHECK(pid_ > 0);  // else the signal would go to every process
  ::kill(pid_, number);
}

int Process::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Process::rest_of_output() {
  while (read_more(output_, read_)) {
  }
  return std::exchange(read_, {});
}

std::string Process::errors() {
  std::string all;
  while (read_more(error_, all)) {
  }
  return all;
}

Finished run(const Arguments& arguments, const std::string& input, const Environment& environment,
             const std::string& program) {
  Process process(arguments, environment, program);
  // A process of its own writes, so that neither side waits for the other.
  const pid_t writer = ::fork();
  if (writer == 0) ::_exit(process.write_input(input) ? 0 : 1);
  process.close_input();
  Finished finished;
  finished.output = process.rest_of_output();
  finished.errors = process.errors();
  finished.status = process.wait();
  int ignored = 0;
  ::waitpid(writer, &ignored, 0);
  return finished;
}

Arguments serve_arguments(const std::string& folder, const Arguments& more) {
  Arguments all{"serve", "--data", folder};
  const auto add_unless_given = [&](const char* flag, const char* value) {
    if (std::ranges::find(more, flag) == more.end()) all.insert(all.end(), {flag, value});
  };
  add_unless_given("--listen", "127.0.0.1:0");
  add_unless_given("--shards", "1");
  add_unless_given("--journal-file-bytes", "1MiB");
  add_unless_given("--ballast-bytes", "1MiB");
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

ServerProcess::ServerProcess(const std::string& folder, const Arguments& more)
    : process_(serve_arguments(folder, more)) {
  first_line_ = process_.read_line();
  const std::string before = "listening on ";
  const std::size_t begin = first_line_.find(before);
  if (begin == std::string::npos) {
    ADD_FAILURE() << "the server did not start: " << process_.errors();
    return;
  }
  address_ = first_line_.substr(begin + before.size(), first_line_.find(',', begin) - begin - before.size());
}

int ServerProcess::stop() {
  process_.signal(SIGTERM);
  return process_.wait();
}

TestFolder::TestFolder() : root_(testing::TempDir() + "millrace-XXXXXX") {
  CHECK(::mkdtemp(root_.data()) != nullptr);
}
TestFolder::~TestFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

}  // namespace millrace::tools::test
