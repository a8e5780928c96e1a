// The real binary, for tests from end to end.
#pragma once

#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace millrace::tools::test {

using Arguments = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

// A running program, `millrace` unless another is named, with pipes to all three of its streams. Killed when
// it goes.
class Process {
 public:
  // Of the test's own environment, only what is no MILLRACE_ variable is passed on.
  explicit Process(const Arguments& arguments, const Environment& environment = {},
                   const std::string& program = MILLRACE_BINARY);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // False when it no longer reads.
  bool write_input(const std::string& text);
  void close_input();
  // The next line of its output with its end, waiting for it; "" at the end of the output.
  [[nodiscard]] std::string read_line();
  void close_output();
  // Of its output, for poll().
  [[nodiscard]] int output() const { return output_; }

  void signal(int number);
  // Waits for its end; the exit status, or 128 + the signal that ended it.
  int wait();
  // What has not been read yet, up to the end of its output; what it said on standard error. After wait().
  [[nodiscard]] std::string rest_of_output();
  [[nodiscard]] std::string errors();

 private:
  pid_t pid_ = -1;
  int input_ = -1, output_ = -1, error_ = -1;
  std::string read_;  // of the output, beyond the last line given
};

struct Finished {
  int status = 0;
  std::string output, errors;
};
// Runs it to its end, with this input.
[[nodiscard]] Finished run(const Arguments& arguments, const std::string& input = "",
                           const Environment& environment = {}, const std::string& program = MILLRACE_BINARY);

// `millrace serve` on a folder of its own and a free port, with small files. Killed when it goes.
class ServerProcess {
 public:
  explicit ServerProcess(const std::string& folder, const Arguments& more = {});
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] const std::string& first_line() const { return first_line_; }
  [[nodiscard]] Process& process() { return process_; }
  // SIGTERM; the exit status.
  int stop();

 private:
  Process process_;
  std::string first_line_, address_;
};
// The flags of such a server.
[[nodiscard]] Arguments serve_arguments(const std::string& folder, const Arguments& more = {});

// A folder that does not exist yet, with an unused name; removed at the end with everything in it.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  [[nodiscard]] std::string path(const std::string& name) const { return root_ + "/" + name; }

 private:
  std::string root_;
};

}  // namespace millrace::tools::test
