// RequestReader: frames from a socket's stream, for a server.
//
// Small frames are received many at a time into a block that grows while nothing else comes, and are handed
// out as ranges of it. A payload that is large, or does not fit into the block, is received into a buffer of
// its own, at the offset where its entry header completes it to what the log writes to the disk
// (k_batch_offset_in_entry). What of it had arrived with its table is copied there, so after a large frame
// the receives are k_receive_size_min again: no more than that is ever copied of one of several large frames
// in a row.
//
// A frame that is not whole never holds more than the block it arrives in: what its sender announces takes no
// memory.
//
//   for (;;) {
//     parse() -> more      receive(), then parse again
//             -> frame     a whole frame; payload: a range of the block
//             -> payload   preamble and table of a frame whose payload needs a buffer: receive_payload() or
//             skip_payload()
//   }
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/time.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/wire/frame.h"

namespace millrace {

struct InboundFrame {
  Preamble preamble;
  Slice table;    // its checksum holds
  Slice payload;  // empty until it is received, if it needs a buffer
};

struct ReaderCounters {
  std::uint64_t receives = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t payloads_in_place = 0;  // large ones
  std::uint64_t payload_bytes_in_place = 0;
  std::uint64_t payload_bytes_copied = 0;  // of large payloads, beyond the first 4 KiB of each
};

// What the receive blocks of a shard's connections may take: k_receive_size_min for each that is open, and
// bytes_max in all for larger ones and for those that requests, or entries that wait for the disk, still
// refer to. The pool counts them until nobody does.
class ReceiveMemory {
 public:
  ReceiveMemory(BufferPool& pool, std::uint64_t bytes_max, const std::uint64_t& connections)
      : pool_(pool), bytes_max_(bytes_max), connections_(connections) {}

  // Nothing when it has no room for the block: larger ones leave half of it to the smallest. overloaded when
  // the pool is empty, too.
  [[nodiscard]] Result<std::optional<Buffer>> take(std::uint32_t size);

 private:
  BufferPool& pool_;
  std::uint64_t bytes_max_;
  const std::uint64_t& connections_;
};

class RequestReader {
 public:
  enum class Step : std::uint8_t { more, frame, payload };

  RequestReader(Reactor& reactor, Socket socket, ReceiveMemory& memory, ReaderCounters& counters)
      : reactor_(reactor), socket_(std::move(socket)), memory_(memory), counters_(counters) {}

  // Looks at what has arrived; fills `frame` for every step but `more`. Errors are decode_preamble()'s and
  // check_frame()'s: nothing behind them can be read.
  [[nodiscard]] Result<Step> parse(InboundFrame& frame, std::uint64_t frame_size_max);
  // Receives what comes next: the number of bytes, 0 at the end of the stream. Waits while the block is full
  // of what others refer to and there is no other. connection_lost; overloaded when the pool is empty.
  Task<Result<std::uint64_t>> receive();

  // The capacity of the buffer that a payload of this size is received into.
  [[nodiscard]] static std::uint32_t payload_buffer_size(std::uint32_t payload_length);
  // After Step::payload: receives the rest of the payload into `buffer`. connection_lost.
  Task<Result<Slice>> receive_payload(std::uint32_t length, Buffer buffer);
  // The same, and forgets it.
  Task<Result<void>> skip_payload(std::uint32_t length);

  // The time of the frame under way counts from now.
  void restart_clock() { partial_since_ = reactor_.now(); }
  // Since when a part of a frame is there, without the rest.
  [[nodiscard]] std::optional<MonotonicTime> partial_since() const { return partial_since_; }
  // Bytes that have arrived of the frame under way.
  [[nodiscard]] std::uint64_t partial_size() const { return partial_size_; }
  // A payload is being received, and fewer than k_pressed_step of it have come within k_pressed_deadline_ms.
  [[nodiscard]] bool payload_stands_still() const;
  // The frame under way waits for memory, not for its peer.
  [[nodiscard]] bool waits_for_memory() const { return waits_for_memory_; }
  // What has arrived and is not parsed.
  [[nodiscard]] std::span<const std::byte> unparsed() const;

 private:
  [[nodiscard]] std::uint32_t available() const { return end_ - begin_; }
  void note_partial();
  void adapt(std::uint32_t room, std::uint64_t received);
  [[nodiscard]] std::uint32_t wanted() const;
  [[nodiscard]] bool has_room();
  [[nodiscard]] bool make_room_in_block();
  Task<Result<void>> make_room();
  void move_to(Buffer block);
  void rest();
  [[nodiscard]] Slice range(std::uint32_t at, std::uint32_t length) const { return {block_, at, length}; }

  Reactor& reactor_;
  Socket socket_;
  ReceiveMemory& memory_;
  ReaderCounters& counters_;
  Buffer block_;
  std::uint32_t begin_ = 0;  // of what was not handed out yet
  std::uint32_t end_ = 0;
  std::uint32_t receive_size_ = k_receive_size_min;
  std::uint64_t needed_ = k_preamble_size;  // bytes from begin_ on without which parse() gives `more` again
  std::uint64_t last_size_ = 0;             // of the last small frame
  std::optional<MonotonicTime> partial_since_;
  std::uint64_t partial_size_ = 0;
  std::optional<MonotonicTime> step_since_;  // while a payload is received: of its last k_pressed_step
  std::uint64_t step_size_ = 0;
  bool waits_for_memory_ = false;
};

}  // namespace millrace
