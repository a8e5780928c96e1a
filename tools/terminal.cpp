#include "tools/terminal.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "tools/exit_codes.h"

namespace millrace::tools {

Output write_output(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EPIPE) {
      return Output::closed;
    } else if (errno == EAGAIN) {
      // Whoever shares the stream has made it non-blocking.
      pollfd ready{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      end_without_output(std::strerror(errno));
    }
  }
  return Output::open;
}

void end_without_output(std::string_view reason) {
  write_error(fmt::format("millrace: cannot write to standard output: {}\n", reason));
  std::_Exit(k_exit_failure);
}

void write_error(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
    if (count < 0 && errno != EINTR) return;
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
}

int report(std::string_view command, const Error& error) {
  write_error(fmt::format("millrace {}: {}\n", command, error.message));
  return exit_code_of(error.code);
}

bool error_is_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

}  // namespace millrace::tools
