// Standard output of a command that has a reactor.
#pragma once

#include <string>

#include "engine/base/buffer.h"
#include "engine/reactor/uring_reactor.h"
#include "engine/reactor/wait.h"
#include "net/background.h"
#include "tools/terminal.h"

namespace millrace::tools {

// Writes beside everything else that the reactor does: whoever reads there (`less`) may take all the time in
// the world, and the answers that come meanwhile are received, and what is to be sent is sent. Were the turn
// stopped, requests would run into their deadlines with their answers in the socket.
//
// Text that is still on its way when this is destroyed may leave in part, or not at all: drain() first.
class OutputWriter {
 public:
  explicit OutputWriter(UringReactor& reactor);
  OutputWriter(const OutputWriter&) = delete;
  OutputWriter& operator=(const OutputWriter&) = delete;

  // Whole lines are appended here. They leave in this order, with the next call of a verb at the latest.
  [[nodiscard]] std::string& text() { return text_; }
  // Time to wait for room(), so that memory stays bounded.
  [[nodiscard]] bool is_full() const { return text_.size() >= k_output_size; }

  void leave() { changed_.wake_all(); }
  // Returns when it is not full, or when all has left; `closed` as write_output() says.
  [[nodiscard]] Task<Output> room();
  [[nodiscard]] Task<Output> drain();

 private:
  Task<void> write_all();
  Task<void> write(std::string_view text);

  UringReactor& reactor_;
  File output_;
  Buffer piece_;         // what the kernel reads from
  std::string text_;     // to leave next
  std::string leaving_;  // being written
  Output state_ = Output::open;
  WaitQueue changed_;
  Background writing_;  // goes first: it uses all others
};

}  // namespace millrace::tools
