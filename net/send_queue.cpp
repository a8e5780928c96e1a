#include "net/send_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace millrace {

Result<std::span<std::byte>> SendQueue::append(std::uint32_t size) {
  if (size > k_block_size) {
    // Small pieces behind it in its memory would hold all of that.
    TRY(Buffer own, memory_.pool.acquire(size));
    put({std::move(own), 0, size});
    return slices_.back().buffer.bytes().first(size);
  }
  const std::uint32_t end = last_.offset + last_.length;
  if (!last_.buffer || last_.buffer.capacity() - end < size) {
    TRY(Buffer block, memory_.pool.acquire(k_block_size));
    if (last_.length != 0) slices_.push_back(std::move(last_));
    last_ = Slice{std::move(block), 0, 0};
  }
  const std::span<std::byte> room = last_.buffer.bytes().subspan(last_.offset + last_.length, size);
  last_.length += size;
  bytes_ += size;
  count();
  return room;
}

Result<void> SendQueue::append(std::span<const Slice> slices) {
  while (!slices.empty()) {
    // Neighbours of one buffer hold it together.
    const Buffer& buffer = slices.front().buffer;
    const auto other = std::ranges::find_if(
        slices, [&](const Slice& slice) { return slice.buffer.data() != buffer.data(); });
    const auto neighbours = slices.first(static_cast<std::size_t>(other - slices.begin()));
    std::uint64_t length = 0;
    for (const Slice& slice : neighbours) length += slice.length;
    const bool refer = 2 * length >= buffer.capacity() && memory_.may_refer_to(buffer, length);
    for (const Slice& slice : neighbours) TRY_VOID(add(slice, refer));
    slices = slices.subspan(neighbours.size());
  }
  return {};
}

Result<void> SendQueue::add(const Slice& slice, bool refer) {
  if (slice.length == 0) return {};
  if (!refer || slice.length <= k_send_copy_max) {
    TRY(const std::span<std::byte> room, append(slice.length));
    std::memcpy(room.data(), slice.bytes().data(), slice.length);
    return {};
  }
  put(slice);
  return {};
}

void SendQueue::put(Slice slice) {
  settle();
  if (!memory_.pool.owns(slice.buffer)) memory_.foreign += slice.length;
  bytes_ += slice.length;
  slices_.push_back(std::move(slice));
  count();
}

// What stands in the block keeps its place; the block goes on behind whatever comes next.
void SendQueue::settle() {
  if (last_.length == 0) return;
  Slice rest{last_.buffer, last_.offset + last_.length, 0};
  slices_.push_back(std::exchange(last_, std::move(rest)));
}

Slices SendQueue::next(std::uint64_t bytes_max) {
  settle();
  Slices taken;
  std::uint32_t skip = first_sent_;
  for (std::size_t i = first_; i < slices_.size() && !taken.full() && bytes_max != 0; ++i) {
    Slice slice = slices_[i];
    slice.offset += skip;
    slice.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(slice.length - skip, bytes_max));
    skip = 0;
    bytes_max -= slice.length;
    taken.push(std::move(slice));
  }
  return taken;
}

void SendQueue::sent(std::uint64_t bytes) {
  bytes_ -= bytes;
  while (bytes != 0) {
    const std::uint32_t left = slices_[first_].length - first_sent_;
    if (bytes < left) {
      first_sent_ += static_cast<std::uint32_t>(bytes);
      break;
    }
    bytes -= left;
    drop_first();
  }
  if (first_ == slices_.size()) {
    // What a long queue took does not stay with a connection that has none.
    constexpr std::size_t k_kept = 64;
    slices_.clear();
    if (slices_.capacity() > k_kept) slices_ = {};
    first_ = 0;
  } else if (first_ > slices_.size() / 2) {
    slices_.erase(slices_.begin(), slices_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  if (bytes_ == 0) last_ = {};
  count();
}

void SendQueue::drop_first() {
  Slice& slice = slices_[first_++];
  if (!memory_.pool.owns(slice.buffer)) memory_.foreign -= slice.length;
  slice = {};
  first_sent_ = 0;
}

void SendQueue::clear() {
  while (first_ != slices_.size()) drop_first();
  slices_ = {};
  first_ = 0;
  last_ = {};
  bytes_ = 0;
  count();
}

// A slice is held until all of it has left; and however little waits, there is a block for it.
void SendQueue::count() {
  const std::uint64_t now = bytes_ == 0 ? 0 : bytes_ + first_sent_ + k_block_size;
  memory_.held += now - counted_;
  counted_ = now;
}

}  // namespace millrace
