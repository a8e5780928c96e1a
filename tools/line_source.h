// Lines of standard input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace millrace::tools {

// Reads large pieces, the next one while the lines of the last are being used. A line ends at "\n", the last
// one also at the end; any other byte is part of it.
class LineSource {
 public:
  LineSource(Reactor& reactor, File input, std::uint64_t line_size_max);

  // The next line that has been read, without its end; nothing when more() must be called first. Valid until
  // the next call of either.
  [[nodiscard]] std::optional<std::string_view> next();
  // Reads on; false at the end of the input, when next() has no more. invalid_argument when a line is too
  // long; what reading gives.
  [[nodiscard]] Task<Result<bool>> more();
  // How many next() has given.
  [[nodiscard]] std::uint64_t lines() const { return lines_; }

 private:
  void start();

  Reactor& reactor_;
  File input_;
  std::uint64_t line_size_max_;
  Buffer current_, reading_;
  std::optional<Operation<std::uint64_t>> read_;
  std::string_view rest_;  // of current_
  std::string carried_;    // a line's beginning in earlier pieces
  bool carried_given_ = false;
  bool ended_ = false;
  std::uint64_t lines_ = 0;
};

}  // namespace millrace::tools
