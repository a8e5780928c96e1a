#include "engine/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace millrace {

void check_failed(std::string_view condition, std::string_view message, const char* file, int line) {
  if (message.empty()) {
    fmt::print(stderr, "CHECK failed: {} at {}:{}\n", condition, file, line);
  } else {
    fmt::print(stderr, "CHECK failed: {} ({}) at {}:{}\n", condition, message, file, line);
  }
  std::fflush(stderr);
  std::abort();
}

}  // namespace millrace
