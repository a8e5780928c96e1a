// FrameReader: whole frames from a socket's stream of bytes.
#pragma once

#include <cstdint>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/time.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/wire/frame.h"

namespace millrace {

// A frame as it came. The slices keep the memory that they are in.
struct ReceivedFrame {
  Preamble preamble;
  Slice table;  // its checksum holds; verified() says whether it is one
  Slice payload;
};

class FrameReader {
 public:
  FrameReader(Reactor& reactor, Socket socket) : reactor_(reactor), socket_(std::move(socket)) {}

  // The next frame. connection_lost at the end of the stream (also within a frame), timed_out;
  // protocol_error, unsupported_version or frame_too_large when the bytes are no frame: nothing after them
  // can be read then.
  Task<Result<ReceivedFrame>> next(MonotonicTime deadline = k_never);

  [[nodiscard]] std::uint64_t bytes_received() const { return bytes_received_; }

 private:
  // Bytes received and not yet given out.
  [[nodiscard]] std::uint32_t available() const { return end_ - begin_; }
  // Receives until `size` bytes from begin_ on are there, in one buffer.
  Task<Result<void>> fill(std::uint32_t size, MonotonicTime deadline);
  [[nodiscard]] bool alone() const;
  void rewind();
  Task<void> make_room(std::uint32_t size);
  [[nodiscard]] Slice take(std::uint32_t size);

  Reactor& reactor_;
  Socket socket_;
  Buffer buffer_;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
  std::uint64_t bytes_received_ = 0;
};

}  // namespace millrace
