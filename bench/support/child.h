// A child process: started on a processor, its standard output read here. It ends with us at the latest.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "engine/base/error.h"
#include "engine/reactor/unique_fd.h"

namespace millrace::bench {

class Child {
 public:
  // `words` are the program and its arguments; the program is looked up in PATH. Without `cpu` it may use
  // every processor that this process could use at its start.
  [[nodiscard]] static Result<Child> start(const std::vector<std::string>& words, std::optional<int> cpu);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();  // kills it, if it still runs

  // The next line, without its end. timed_out; io_error when the output has ended.
  [[nodiscard]] Result<std::string> read_line(std::chrono::milliseconds patience);
  // Everything up to the end of the output.
  [[nodiscard]] Result<std::string> read_all();

  void ask_to_stop() const;  // SIGTERM
  void kill();               // SIGKILL, and waits for the end
  // Waits for the end. io_error unless it ended with status 0.
  [[nodiscard]] Result<void> wait();
  // Processor time that it has used, in user space and in the kernel.
  [[nodiscard]] double cpu_seconds() const;
  // What it has written to files since it began, in the background, too.
  [[nodiscard]] std::uint64_t written_bytes() const;
  // Of its memory, what is in RAM now (VmRSS).
  [[nodiscard]] std::uint64_t resident_bytes() const;

 private:
  Child(pid_t pid, UniqueFd output, std::string name);
  pid_t pid_ = -1;
  UniqueFd output_;
  std::string name_;
};

}  // namespace millrace::bench
