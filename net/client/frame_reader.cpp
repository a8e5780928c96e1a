#include "net/client/frame_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace millrace {
namespace {

// When the shard's buffers are all in use, others' requests have to end first.
constexpr Duration k_memory_pause = std::chrono::milliseconds(1);

// Whether so many references are all there are: nobody else reads in the buffer.
bool has_only(const Buffer& buffer, std::uint32_t references) {
  return buffer.block()->references.load(std::memory_order_acquire) == references;
}

}  // namespace

Task<Result<ReceivedFrame>> FrameReader::next(MonotonicTime deadline) {
  CO_TRY_VOID(co_await fill(k_preamble_size, deadline));
  ReceivedFrame frame;
  CO_TRY(frame.preamble, decode_preamble({buffer_.data() + begin_, k_preamble_size}, k_frame_size_max));
  CO_TRY_VOID(co_await fill(static_cast<std::uint32_t>(frame.preamble.frame_size()), deadline));
  const Slice preamble = take(k_preamble_size);
  frame.table = take(frame.preamble.table_length);
  frame.payload = take(frame.preamble.payload_length);
  CO_TRY_VOID(check_frame(preamble.bytes(), frame.table.bytes()));
  co_return frame;
}

Task<Result<void>> FrameReader::fill(std::uint32_t size, MonotonicTime deadline) {
  if (available() >= size) co_return Result<void>();
  if (begin_ == end_ && alone()) rewind();
  if (!buffer_ || begin_ + size > buffer_.capacity()) {
    CO_TRY_VOID(co_await make_room(size, deadline));
  }
  while (available() < size) {
    const Slice room{buffer_, end_, buffer_.capacity() - end_};
    CO_TRY(const std::uint64_t count, co_await reactor_.receive(socket_, room, deadline));
    if (count == 0) {
      co_return fail(ErrorCode::connection_lost, "the peer closed the connection{}",
                     available() == 0 ? "" : " within a frame");
    }
    end_ += static_cast<std::uint32_t>(count);
    bytes_received_ += count;
    last_received_ = reactor_.now();
  }
  co_return Result<void>();
}

bool FrameReader::at_home() const {
  return home_ != nullptr && buffer_ && buffer_.block() == home_->block();
}

// Whether nobody reads any more in the buffer that is received into.
bool FrameReader::alone() const {
  return buffer_ && has_only(buffer_, at_home() ? 2 : 1);
}

bool FrameReader::home_is_free(std::uint32_t size) const {
  return home_ != nullptr && !at_home() && size <= home_->capacity() && has_only(*home_, 1);
}

// Starts over in an empty buffer; one that a large frame has needed goes.
void FrameReader::rewind() {
  begin_ = end_ = 0;
  if (buffer_.capacity() > k_buffer_size) buffer_ = {};
}

// Moves what is there to the front of a buffer that can hold `size` bytes: this one, if nobody reads in it.
Task<Result<void>> FrameReader::make_room(std::uint32_t size, MonotonicTime deadline) {
  while (!alone() || buffer_.capacity() < size) {
    if (home_is_free(size)) {
      move_to(*home_);
      co_return Result<void>();
    }
    if (auto other = reactor_.buffers().acquire(std::max(size, k_buffer_size))) {
      move_to(*std::move(other));
      co_return Result<void>();
    }
    if (stopped_) co_return fail(ErrorCode::connection_lost, "the connection was given up");
    if (reactor_.now() >= deadline) {
      co_return fail(ErrorCode::overloaded,
                     "the reactor's buffers are all in use: none for a frame of {} bytes", size);
    }
    static_cast<void>(co_await reactor_.sleep_until(std::min(reactor_.now() + k_memory_pause, deadline)));
  }
  std::memmove(buffer_.data(), buffer_.data() + begin_, available());
  end_ -= begin_;
  begin_ = 0;
  co_return Result<void>();
}

void FrameReader::move_to(Buffer other) {
  if (begin_ != end_) std::memcpy(other.data(), buffer_.data() + begin_, available());
  buffer_ = std::move(other);
  end_ -= begin_;
  begin_ = 0;
}

Slice FrameReader::take(std::uint32_t size) {
  const Slice taken{buffer_, begin_, size};
  begin_ += size;
  return taken;
}

}  // namespace millrace
