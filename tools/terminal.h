// Standard output and standard error, as the commands use them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace millrace::tools {

enum class Output { open, closed };

// Commands that print much write it in pieces of about this many bytes.
inline constexpr std::size_t k_output_size = 256u << 10;

// Writes all of it to standard output; `closed` when nobody reads there any more (a pipe into `head`), which
// is no error. Any other failure ends the process with a message. It takes as long as whoever reads there:
// what has requests under way uses an OutputWriter.
Output write_output(std::string_view text);
// The end of a process that has something to say, and nowhere to say it.
[[noreturn]] void end_without_output(std::string_view reason);
// The same to standard error, where failures are of no interest.
void write_error(std::string_view text);

// Prints "millrace COMMAND: message" to standard error and returns the exit status for it.
int report(std::string_view command, const Error& error);

// Whether a person watches standard error.
[[nodiscard]] bool error_is_terminal();

}  // namespace millrace::tools
