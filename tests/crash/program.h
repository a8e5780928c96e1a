// Program: a program in a process of its own, as a person at a terminal would run it.
//
// Waits have a deadline that only a program that hangs can reach; the test fails then.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace millrace::test {

// What the program is given on standard input.
struct ProgramInput {
  std::string file = "/dev/null";
};

class Program {
 public:
  // Starts it: the path of the program, then its arguments. It is killed when the test ends, however that
  // happens.
  explicit Program(const std::vector<std::string>& command, const ProgramInput& input = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // The next line on its standard output, without the newline; nothing when there is none left, because it
  // has ended or does not go on.
  std::optional<std::string> next_line();
  // Everything it still writes there, until it ends.
  std::string rest();
  // What it has written to standard error so far.
  [[nodiscard]] std::string errors() const;

  // Sends a signal; none when it has ended.
  void signal(int number);
  void kill();
  void terminate();
  // Waits for its end: its exit status, or minus the signal that ended it.
  int wait();

 private:
  bool read_more();

  pid_t pid_ = -1;
  int output_ = -1;  // a pipe
  int errors_ = -1;  // a file in memory
  std::string read_;
  std::optional<int> status_;
};

// A program that ends by itself.
struct ProgramEnd {
  int status = 0;
  std::string output;
  std::string errors;
};
[[nodiscard]] ProgramEnd run_program(const std::vector<std::string>& command, const ProgramInput& input = {});

}  // namespace millrace::test
