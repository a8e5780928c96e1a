// CHECK: our own bugs stop the process, always, with the values printed. Never used for what a disk, a
// kernel, a user or another machine did: those are Results (error.h).
#pragma once

#include <fmt/format.h>
#include <string_view>

namespace millrace {

// Prints "CHECK failed: <condition> (<message>) at file:line" to standard error and aborts.
[[noreturn]] void check_failed(std::string_view condition, std::string_view message, const char* file,
                               int line);

}  // namespace millrace

// CHECK(a <= b, "a={} b={}", a, b)
#define CHECK(condition, ...)                                                                           \
  do {                                                                                                  \
    if (!(condition)) [[unlikely]]                                                                      \
      ::millrace::check_failed(#condition, ::millrace::check_message(__VA_ARGS__), __FILE__, __LINE__); \
  } while (false)

namespace millrace {
inline std::string check_message() {
  return {};
}
template <class... Args>
std::string check_message(fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format(format, std::forward<Args>(args)...);
}
}  // namespace millrace
