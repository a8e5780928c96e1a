#include "net/request_reader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "engine/base/entry_header.h"

namespace millrace {
namespace {

bool is_large(std::uint32_t payload_length) {
  return payload_length >= k_direct_size_min;
}

std::uint32_t to_blocks(std::uint32_t size) {
  return (size + k_block_size - 1) / k_block_size * k_block_size;
}

// Nobody else refers to the block: its bytes may be written again.
bool alone(const Buffer& block) {
  return block.block()->references.load(std::memory_order_acquire) == 1;
}

}  // namespace

Result<RequestReader::Step> RequestReader::parse(InboundFrame& frame, std::uint64_t frame_size_max) {
  if (available() < k_preamble_size) {
    // A stranger's first bytes may be all that it sends: it hears at once that it is wrong here.
    if (const auto stranger = recognise_stranger(unparsed())) return fail(stranger_error(*stranger));
    needed_ = k_preamble_size;
    note_partial(k_preamble_size);
    return Step::more;
  }
  TRY(frame.preamble, decode_preamble(unparsed(), frame_size_max));
  const std::uint32_t head = k_preamble_size + frame.preamble.table_length;
  const bool large = is_large(frame.preamble.payload_length);
  needed_ = large ? head : frame.preamble.frame_size();
  if (available() < needed_) {
    note_partial(frame.preamble.frame_size());
    return Step::more;
  }
  frame.table = range(begin_ + k_preamble_size, frame.preamble.table_length);
  TRY_VOID(check_frame(unparsed(), frame.table.bytes()));
  begin_ += head;
  if (large) {
    note_partial(frame.preamble.frame_size());
    return Step::payload;
  }
  frame.payload = range(begin_, frame.preamble.payload_length);
  begin_ += frame.preamble.payload_length;
  last_size_ = frame.preamble.frame_size();
  needed_ = k_preamble_size;
  partial_since_.reset();
  return Step::frame;
}

Task<Result<std::uint64_t>> RequestReader::receive() {
  CO_TRY_VOID(make_room());
  const auto missing = static_cast<std::uint32_t>(needed_ - std::min<std::uint64_t>(needed_, available()));
  const std::uint32_t room = std::min(block_.capacity() - end_, std::max(receive_size_, missing));
  auto received = co_await reactor_.receive(socket_, range(end_, room));
  if (!received) co_return fail(std::move(received).error());
  ++counters_.receives;
  counters_.bytes_received += *received;
  end_ += static_cast<std::uint32_t>(*received);
  adapt(room, *received);
  co_return *received;
}

// Full receives ask for larger ones, receives that find little for smaller ones.
void RequestReader::adapt(std::uint32_t room, std::uint64_t received) {
  if (received == room && room >= receive_size_) {
    receive_size_ = std::min(receive_size_ * 2, k_receive_size_max);
  } else if (received < receive_size_ / 8) {
    receive_size_ = std::max(receive_size_ / 2, k_receive_size_min);
  }
}

Result<void> RequestReader::make_room() {
  // A frame like the last one should find room, too, or it takes two receives.
  const auto wanted = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(last_size_, needed_, std::max<std::uint64_t>(needed_, receive_size_)));
  if (block_) {
    if (available() == 0 && alone(block_)) begin_ = end_ = 0;
    if (block_.capacity() >= receive_size_ && block_.capacity() - begin_ >= wanted &&
        block_.capacity() > end_) {
      return {};
    }
  }
  auto larger = reactor_.buffers().acquire(std::max(wanted, receive_size_));
  if (!larger) {
    // Little memory is no reason to part, as long as there is enough for the frame.
    receive_size_ = k_receive_size_min;
    larger = reactor_.buffers().acquire(std::max(wanted, receive_size_));
  }
  TRY(Buffer block, std::move(larger));
  const std::uint32_t kept = available();
  if (kept != 0) std::memcpy(block.data(), block_.data() + begin_, kept);
  block_ = std::move(block);
  begin_ = 0;
  end_ = kept;
  return {};
}

std::uint32_t RequestReader::payload_buffer_size(std::uint32_t payload_length) {
  return to_blocks(k_batch_offset_in_entry + payload_length);
}

Task<Result<Slice>> RequestReader::receive_payload(std::uint32_t length, Buffer buffer) {
  const std::uint32_t early = std::min(available(), length);
  if (early != 0) std::memcpy(buffer.data() + k_batch_offset_in_entry, block_.data() + begin_, early);
  begin_ += early;
  ++counters_.payloads_in_place;
  counters_.payload_bytes_in_place += length;
  if (early > k_block_size) counters_.payload_bytes_copied += early - k_block_size;
  receive_size_ = k_receive_size_min;
  for (std::uint32_t have = early; have < length;) {
    auto received =
        co_await reactor_.receive(socket_, Slice{buffer, k_batch_offset_in_entry + have, length - have});
    if (!received) co_return fail(std::move(received).error());
    if (*received == 0) co_return fail(ErrorCode::connection_lost, "the peer closed within a frame");
    ++counters_.receives;
    counters_.bytes_received += *received;
    have += static_cast<std::uint32_t>(*received);
  }
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
  }
  partial_since_.reset();
  co_return Result<void>{};
}

std::span<const std::byte> RequestReader::unparsed() const {
  if (!block_) return {};
  return std::span<const std::byte>(block_.bytes()).subspan(begin_, available());
}

void RequestReader::note_partial(std::uint64_t size) {
  partial_size_ = size;
  if (available() == 0 && size == k_preamble_size) {
    partial_since_.reset();
  } else if (!partial_since_) {
    partial_since_ = reactor_.now();
  }
}

}  // namespace millrace
