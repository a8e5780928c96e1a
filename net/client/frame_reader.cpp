#include "net/client/frame_reader.h"

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

// Answers are mostly far smaller; a larger frame gets a buffer of its own size.
constexpr std::uint32_t k_receive_size = 64u << 10;
// When the shard's buffers are all in use, others' requests have to end first.
constexpr Duration k_memory_pause = std::chrono::milliseconds(1);

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
  if (!buffer_ || begin_ + size > buffer_.capacity()) co_await make_room(size);
  while (available() < size) {
    const Slice room{buffer_, end_, buffer_.capacity() - end_};
    CO_TRY(const std::uint64_t count, co_await reactor_.receive(socket_, room, deadline));
    if (count == 0) {
      co_return fail(ErrorCode::connection_lost, "the peer closed the connection{}",
                     available() == 0 ? "" : " within a frame");
    }
    end_ += static_cast<std::uint32_t>(count);
    bytes_received_ += count;
  }
  co_return Result<void>();
}

// Whether nobody reads in the buffer any more.
bool FrameReader::alone() const {
  return buffer_ && buffer_.block()->references.load(std::memory_order_acquire) == 1;
}

// Starts over in an empty buffer; one that a large frame has needed goes.
void FrameReader::rewind() {
  begin_ = end_ = 0;
  if (buffer_.capacity() > k_receive_size) buffer_ = {};
}

// Moves what is there to the front of a buffer that can hold `size` bytes: this one, if nobody reads in it.
Task<void> FrameReader::make_room(std::uint32_t size) {
  while (!alone() || buffer_.capacity() < size) {
    if (auto other = reactor_.buffers().acquire(std::max(size, k_receive_size))) {
      if (begin_ != end_) std::memcpy(other->data(), buffer_.data() + begin_, available());
      buffer_ = *std::move(other);
      end_ -= begin_;
      begin_ = 0;
      co_return;
    }
    co_await reactor_.sleep(k_memory_pause);
  }
  std::memmove(buffer_.data(), buffer_.data() + begin_, available());
  end_ -= begin_;
  begin_ = 0;
}

Slice FrameReader::take(std::uint32_t size) {
  const Slice taken{buffer_, begin_, size};
  begin_ += size;
  return taken;
}

}  // namespace millrace
