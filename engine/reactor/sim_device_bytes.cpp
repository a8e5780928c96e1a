// Reads and writes: the bytes that they move, in one go or in parts.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/reactor/sim_content.h"
#include "engine/reactor/sim_device.h"

namespace millrace {
namespace {

// The bytes of the slices from `offset` on, up to the end of the slice they are in.
std::span<std::byte> part_at(const Slices& slices, std::uint64_t offset) {
  for (const Slice& slice : slices) {
    if (offset < slice.length)
      return slice.buffer.bytes().subspan(slice.offset, slice.length).subspan(offset);
    offset -= slice.length;
  }
  return {};
}

}  // namespace

std::uint64_t SimDevice::stop_of(Flight& flight) {
  const SimAccess& access = flight.request.access;
  const std::uint64_t left = access.length - flight.moved;
  const bool is_by_rule = flight.cut_short && flight.moved == 0;
  const bool may_be_cut = is_by_rule || access.sync == Sync::no;
  if (left <= k_sector_size || !may_be_cut) return access.length;
  if (!is_by_rule && !random_.chance(disk_.faults().short_transfers)) return access.length;
  return flight.moved + (random_.below((left - 1) / k_sector_size) + 1) * k_sector_size;
}

bool SimDevice::write(Flight& flight, Sync sync, std::int64_t shift, SimDiskReply& reply) {
  const SimDiskRequest& request = flight.request;
  const std::uint64_t stop = stop_of(flight);
  while (flight.moved < stop) {
    auto part = part_at(request.slices, flight.moved);
    part = part.first(std::min<std::uint64_t>(part.size(), stop - flight.moved));
    const std::uint64_t position = request.access.position + flight.moved + static_cast<std::uint64_t>(shift);
    const auto count = disk_.write(request.file, position, part, sync);
    if (!count) {
      reply.error = count.error();
      return true;
    }
    flight.moved += *count;
  }
  if (flight.moved < request.access.length) return false;
  reply.count = flight.moved;
  // Nobody knows whether the parts were durable together.
  if (flight.cut_short && request.access.sync == Sync::data) reply.error = EIO;
  return true;
}

bool SimDevice::read(Flight& flight, SimDiskReply& reply) {
  const SimDiskRequest& request = flight.request;
  const std::uint64_t stop = stop_of(flight);
  while (flight.moved < stop) {
    auto part = part_at(request.slices, flight.moved);
    part = part.first(std::min<std::uint64_t>(part.size(), stop - flight.moved));
    const std::uint64_t count = read_at(request.file, request.access.position + flight.moved, part);
    flight.moved += count;
    reply.count = flight.moved;
    if (count < part.size()) return true;  // the end of the file
  }
  return flight.moved == request.access.length;
}

std::uint64_t SimDevice::read_at(SimFileId file, std::uint64_t position, std::span<std::byte> into) {
  const std::uint64_t count = *disk_.read(file, position, into);
  const std::uint64_t end = position + count;
  for (const auto& [id, flight] : in_flight_) {
    const SimDiskRequest& writing = flight.request;
    if (writing.access.verb != Verb::write || writing.file != file) continue;
    const std::uint64_t write_begin = writing.access.position;
    const std::uint64_t write_end = write_begin + writing.access.length;
    for (std::uint64_t at = std::max(position, write_begin); at < std::min(end, write_end);) {
      const std::uint64_t sector_end = std::min({(at / k_sector_size + 1) * k_sector_size, end, write_end});
      const bool is_new = random_.coin();
      while (at < sector_end) {
        const auto from = part_at(writing.slices, at - write_begin);
        const std::uint64_t part = std::min<std::uint64_t>(from.size(), sector_end - at);
        if (is_new) std::memcpy(into.data() + (at - position), from.data(), part);
        at += part;
      }
    }
  }
  return count;
}

}  // namespace millrace
