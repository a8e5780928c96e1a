#include "net/request_reader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "engine/base/entry_header.h"

namespace millrace {
namespace {

// How long a connection may be silent before its large block goes.
constexpr Duration k_rest_after = std::chrono::seconds(1);
// How often a block is looked at that others refer to. Nobody tells when they let go.
constexpr Duration k_look_again_after = std::chrono::milliseconds(20);

bool is_large(std::uint32_t payload_length) {
  return payload_length >= k_direct_size_min;
}

// Nobody else refers to the block: its bytes may be written again.
bool alone(const Buffer& block) {
  return block.block()->references.load(std::memory_order_acquire) == 1;
}

}  // namespace

Result<std::optional<Buffer>> ReceiveMemory::take(std::uint32_t size) {
  const std::uint32_t capacity = BufferPool::capacity_for(size);
  const std::uint64_t shared = capacity > k_receive_size_min ? bytes_max_ / 2 : bytes_max_;
  if (pool_.receive_bytes_in_use() + capacity > connections_ * k_receive_size_min + shared)
    return std::nullopt;
  TRY(Buffer block, pool_.acquire(size, PoolPart::receive));
  return block;
}

Result<RequestReader::Step> RequestReader::parse(InboundFrame& frame, std::uint64_t frame_size_max) {
  if (available() < k_preamble_size) {
    // A stranger's first bytes may be all that it sends: it hears at once that it is wrong here.
    if (const auto stranger = recognise_stranger(unparsed())) return fail(stranger_error(*stranger));
    needed_ = k_preamble_size;
    note_partial();
    return Step::more;
  }
  TRY(frame.preamble, decode_preamble(unparsed(), frame_size_max, k_request_table_size_max));
  const std::uint32_t head = k_preamble_size + frame.preamble.table_length;
  const std::uint64_t size = frame.preamble.frame_size();
  const bool needs_buffer = is_large(frame.preamble.payload_length) || size > block_.capacity();
  needed_ = needs_buffer ? head : size;
  note_partial();
  if (available() < needed_) return Step::more;
  frame.table = range(begin_ + k_preamble_size, frame.preamble.table_length);
  TRY_VOID(check_frame(unparsed(), frame.table.bytes()));
  begin_ += head;
  if (needs_buffer) return Step::payload;
  frame.payload = {};
  // Nothing of the block for a payload that is none: a fetch may wait for long.
  if (frame.preamble.payload_length != 0) frame.payload = range(begin_, frame.preamble.payload_length);
  begin_ += frame.preamble.payload_length;
  last_size_ = size;
  needed_ = k_preamble_size;
  partial_since_.reset();
  return Step::frame;
}

Task<Result<std::uint64_t>> RequestReader::receive() {
  for (;;) {
    if (!has_room()) CO_TRY_VOID(co_await make_room());
    const auto missing = static_cast<std::uint32_t>(needed_ - std::min<std::uint64_t>(needed_, available()));
    const std::uint32_t room = std::min(block_.capacity() - end_, std::max(receive_size_, missing));
    // A connection that is silent does not keep the large block of its busy times. A receive that has bytes
    // gives them, whatever the time is.
    const bool may_rest = available() == 0 && block_.capacity() > k_receive_size_min;
    auto received = co_await reactor_.receive(socket_, range(end_, room),
                                              may_rest ? reactor_.now() + k_rest_after : k_never);
    if (!received && may_rest && received.error().code == ErrorCode::timed_out) {
      rest();
      continue;
    }
    if (!received) co_return fail(std::move(received).error());
    ++counters_.receives;
    counters_.bytes_received += *received;
    end_ += static_cast<std::uint32_t>(*received);
    adapt(room, *received);
    co_return *received;
  }
}

void RequestReader::rest() {
  receive_size_ = k_receive_size_min;
  last_size_ = 0;
  block_ = {};
  begin_ = end_ = 0;
}

// Full receives ask for larger ones, receives that find little for smaller ones.
void RequestReader::adapt(std::uint32_t room, std::uint64_t received) {
  if (received == room && room >= receive_size_) {
    receive_size_ = std::min(receive_size_ * 2, k_receive_size_max);
  } else if (received < receive_size_ / 8) {
    receive_size_ = std::max(receive_size_ / 2, k_receive_size_min);
  }
}

// A frame like the last one should find room, too, or it takes two receives.
std::uint32_t RequestReader::wanted() const {
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(last_size_, needed_, std::max<std::uint64_t>(needed_, receive_size_)));
}

bool RequestReader::has_room() {
  if (!block_) return false;
  if (available() == 0 && alone(block_)) begin_ = end_ = 0;
  return block_.capacity() >= receive_size_ && block_.capacity() - begin_ >= wanted() &&
         block_.capacity() > end_;
}

// Whether what is needed finds room without another block.
bool RequestReader::make_room_in_block() {
  if (!block_) return false;
  if (block_.capacity() - begin_ >= needed_ && block_.capacity() > end_) return true;
  if (!alone(block_)) return false;
  std::memmove(block_.data(), block_.data() + begin_, available());
  end_ = available();
  begin_ = 0;
  return block_.capacity() >= needed_ && block_.capacity() > end_;
}

void RequestReader::move_to(Buffer block) {
  const std::uint32_t kept = available();
  if (kept != 0) std::memcpy(block.data(), block_.data() + begin_, kept);
  block_ = std::move(block);
  begin_ = 0;
  end_ = kept;
}

Task<Result<void>> RequestReader::make_room() {
  for (;;) {
    CO_TRY(auto block, memory_.take(std::max(wanted(), receive_size_)));
    if (!block) {
      // Little memory is no reason to part: what there is has to do.
      receive_size_ = k_receive_size_min;
      last_size_ = 0;
      if (make_room_in_block()) break;
      CO_TRY(block, memory_.take(std::max(wanted(), receive_size_)));
    }
    if (block) {
      move_to(*std::move(block));
      break;
    }
    waits_for_memory_ = true;
    static_cast<void>(co_await reactor_.sleep(k_look_again_after));
    waits_for_memory_ = false;
    if (partial_since_) restart_clock();
  }
  co_return Result<void>{};
}

std::uint32_t RequestReader::payload_buffer_size(std::uint32_t payload_length) {
  return BufferPool::capacity_for(k_batch_offset_in_entry + payload_length);
}

Task<Result<Slice>> RequestReader::receive_payload(std::uint32_t length, Buffer buffer) {
  const std::uint32_t early = std::min(available(), length);
  if (early != 0) std::memcpy(buffer.data() + k_batch_offset_in_entry, block_.data() + begin_, early);
  begin_ += early;
  if (is_large(length)) {
    ++counters_.payloads_in_place;
    counters_.payload_bytes_in_place += length;
    if (early > k_block_size) counters_.payload_bytes_copied += early - k_block_size;
    receive_size_ = k_receive_size_min;
  } else {
    // The next one should fit.
    last_size_ = k_preamble_size + std::uint64_t{length};
    receive_size_ = std::min(receive_size_ * 2, k_receive_size_max);
  }
  step_since_ = reactor_.now();
  step_size_ = 0;
  for (std::uint32_t have = early; have < length;) {
    auto received =
        co_await reactor_.receive(socket_, Slice{buffer, k_batch_offset_in_entry + have, length - have});
    if (!received) co_return fail(std::move(received).error());
    if (*received == 0) co_return fail(ErrorCode::connection_lost, "the peer closed within a frame");
    ++counters_.receives;
    counters_.bytes_received += *received;
    have += static_cast<std::uint32_t>(*received);
    partial_size_ += *received;
    step_size_ += *received;
    if (step_size_ >= k_pressed_step) {
      step_since_ = reactor_.now();
      step_size_ = 0;
    }
  }
  step_since_.reset();
  needed_ = k_preamble_size;
  partial_since_.reset();
  co_return Slice{std::move(buffer), k_batch_offset_in_entry, length};
}

Task<Result<void>> RequestReader::skip_payload(std::uint32_t length) {
  needed_ = k_preamble_size;
  for (std::uint32_t left = length;;) {
    const std::uint32_t here = std::min(available(), left);
    begin_ += here;
    left -= here;
    if (left == 0) break;
    CO_TRY(const std::uint64_t received, co_await receive());
    if (received == 0) co_return fail(ErrorCode::connection_lost, "the peer closed within a frame");
    partial_size_ += received;
  }
  partial_since_.reset();
  co_return Result<void>{};
}

std::span<const std::byte> RequestReader::unparsed() const {
  if (!block_) return {};
  return std::span<const std::byte>(block_.bytes()).subspan(begin_, available());
}

bool RequestReader::payload_stands_still() const {
  return step_since_ && reactor_.now() - *step_since_ > std::chrono::milliseconds(k_pressed_deadline_ms);
}

void RequestReader::note_partial() {
  partial_size_ = available();
  if (available() == 0) {
    partial_since_.reset();
  } else if (!partial_since_) {
    partial_since_ = reactor_.now();
  }
}

}  // namespace millrace
