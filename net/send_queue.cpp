#include "net/send_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace millrace {

Result<std::span<std::byte>> SendQueue::append(std::uint32_t size) {
  const std::uint32_t end = last_.offset + last_.length;
  if (!last_.buffer || last_.buffer.capacity() - end < size) {
    TRY(Buffer block, pool_.acquire(std::max(size, k_block_size)));
    if (last_.length != 0) slices_.push(std::move(last_));
    last_ = Slice{std::move(block), 0, 0};
  }
  const std::span<std::byte> room = last_.buffer.bytes().subspan(last_.offset + last_.length, size);
  last_.length += size;
  bytes_ += size;
  return room;
}

Result<void> SendQueue::append(Slice slice) {
  if (slice.length == 0) return {};
  if (slice.length <= k_send_copy_max) {
    TRY(const std::span<std::byte> room, append(slice.length));
    std::memcpy(room.data(), slice.bytes().data(), slice.length);
    return {};
  }
  bytes_ += slice.length;
  if (last_.length != 0) {
    // The block goes on behind the slice.
    Slice rest{last_.buffer, last_.offset + last_.length, 0};
    slices_.push(std::exchange(last_, std::move(rest)));
  }
  slices_.push(std::move(slice));
  return {};
}

Slices SendQueue::take() {
  Slices taken;
  while (!taken.full() && !slices_.empty()) taken.push(slices_.pop());
  if (!taken.full() && last_.length != 0) taken.push(std::exchange(last_, Slice{}));
  bytes_ -= taken.length();
  if (bytes_ == 0) last_ = Slice{};
  return taken;
}

void SendQueue::clear() {
  while (!slices_.empty()) slices_.pop();
  last_ = Slice{};
  bytes_ = 0;
}

}  // namespace millrace
