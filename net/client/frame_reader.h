// FrameReader: whole frames from a socket's stream of bytes.
//
// They are handed out as ranges of the buffer that they were received into. While somebody still reads in
// that, the next ones go into another from the reactor's pool, and receiving waits when it has none. A client
// that makes one connection after another gives each reader the same first buffer, its home: then a new
// connection needs no memory that requests hold which wait for just this connection.
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
  // Answers are mostly far smaller; a larger frame gets a buffer of its own size.
  static constexpr std::uint32_t k_buffer_size = 64u << 10;

  // `home`, of k_buffer_size, is the caller's, who keeps it for as long as the reader lives; nothing: there
  // is none.
  FrameReader(Reactor& reactor, Socket socket, const Buffer* home = nullptr)
      : reactor_(reactor), socket_(std::move(socket)), home_(home) {}

  // The next frame. connection_lost at the end of the stream (also within a frame) and after stop();
  // timed_out; overloaded when there was no memory for it until the deadline; protocol_error,
  // unsupported_version or frame_too_large when the bytes are no frame: nothing after them can be read then.
  Task<Result<ReceivedFrame>> next(MonotonicTime deadline = k_never);
  // The connection is given up: next() waits for memory no longer. The socket's end ends the rest.
  void stop() { stopped_ = true; }

  [[nodiscard]] std::uint64_t bytes_received() const { return bytes_received_; }
  // When the last of them came.
  [[nodiscard]] MonotonicTime last_received() const { return last_received_; }

 private:
  // Bytes received and not yet given out.
  [[nodiscard]] std::uint32_t available() const { return end_ - begin_; }
  // Receives until `size` bytes from begin_ on are there, in one buffer.
  Task<Result<void>> fill(std::uint32_t size, MonotonicTime deadline);
  [[nodiscard]] bool at_home() const;
  [[nodiscard]] bool alone() const;
  [[nodiscard]] bool home_is_free(std::uint32_t size) const;
  void rewind();
  Task<Result<void>> make_room(std::uint32_t size, MonotonicTime deadline);
  void move_to(Buffer other);
  [[nodiscard]] Slice take(std::uint32_t size);

  Reactor& reactor_;
  Socket socket_;
  const Buffer* home_;
  Buffer buffer_;  // where frames are received now
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
  std::uint64_t bytes_received_ = 0;
  MonotonicTime last_received_{};
  bool stopped_ = false;
};

}  // namespace millrace
