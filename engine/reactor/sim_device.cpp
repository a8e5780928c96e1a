#include "engine/reactor/sim_device.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/checksum.h"

namespace millrace {
namespace {

// Of what is to be written.
std::uint64_t hash_of(const SimDiskRequest& request) {
  std::uint64_t hash = 0;
  if (request.access.verb != Verb::write) return hash;
  for (const Slice& slice : request.slices) hash = hash * 0x100000001b3 + xxh3(slice.bytes());
  return hash;
}

template <class T>
void set_error(const SimResult<T>& result, SimDiskReply& reply) {
  if (!result) reply.error = result.error();
}

}  // namespace

void SimDevice::submit(SimDiskRequest request, Done done) {
  if (request.file != 0) disk_.hold(request.file);
  ++in_flight_of_[request.process];
  const std::uint64_t id = next_id_++;
  const std::uint64_t hash = hash_of(request);
  in_flight_.emplace(id, Flight{std::move(request), std::move(done), disk_.mark(), 0, false, hash});
  schedule(id);
}

void SimDevice::schedule(std::uint64_t id) {
  events_.after(disk_.faults().draw_latency(random_), [this, id] { complete(id); });
}

void SimDevice::complete(std::uint64_t id) {
  const auto found = in_flight_.find(id);
  if (found == in_flight_.end()) return;  // the power was cut meanwhile
  SimDiskReply reply;
  if (!take_effect(found->second, found->second.request.access.sync, reply)) return schedule(id);
  Flight ended = std::move(found->second);
  in_flight_.erase(found);
  if (ended.request.file != 0) disk_.close(ended.request.file);
  const std::uint64_t process = ended.request.process;
  const auto count = in_flight_of_.find(process);
  if (--count->second == 0) {
    in_flight_of_.erase(count);
    release_locks(process);
  }
  ended.done(std::move(reply));
  if (!in_flight_of_.contains(process)) {
    if (auto waiting = when_idle_.extract(process)) waiting.mapped()();
  }
}

// ---- what operations do -----------------------------------------------------

bool SimDevice::take_effect(Flight& flight, Sync sync, SimDiskReply& reply) {
  using enum SimFaults::Kind;
  const SimAccess& access = flight.request.access;
  CHECK(hash_of(flight.request) == flight.hash,
        "{}: the bytes for position {} have changed since they were submitted", access.path, access.position);
  const SimFaults::Rule* rule = flight.moved == 0 ? disk_.faults().hit(access) : nullptr;
  if (rule == nullptr) return take_effect_as_asked(flight, sync, 0, reply);
  switch (rule->kind) {
    case fail:
      reply.error = rule->error;
      return true;
    case fail_late: {
      const int error = rule->error;
      const bool is_sync = access.verb == Verb::sync || access.verb == Verb::sync_folder;
      while (!is_sync && !take_effect_as_asked(flight, Sync::no, 0, reply)) {
      }
      if (reply.file != 0) {
        unlock(reply.file, flight.request.process);
        disk_.close(reply.file);
      }
      reply = {};
      reply.error = error;
      return true;
    }
    case fail_and_forget:
      this->fail_and_forget(flight, rule->error, reply);
      return true;
    case cut_short:
      flight.cut_short = true;
      break;
    case lose:
      if (access.verb != Verb::write) break;
      reply.count = access.length;
      return true;
    case misdirect:
      return take_effect_as_asked(flight, sync, rule->shift, reply);
  }
  return take_effect_as_asked(flight, sync, 0, reply);
}

void SimDevice::fail_and_forget(Flight& flight, int error, SimDiskReply& reply) {
  const SimDiskRequest& request = flight.request;
  const bool writes = request.access.verb == Verb::write && request.access.sync == Sync::data;
  while (writes && !take_effect_as_asked(flight, Sync::no, 0, reply)) {
  }
  if (!request.is_direct && (writes || request.access.verb == Verb::sync)) {
    disk_.forget_changes(request.file, writes ? disk_.mark() : flight.mark);
  }
  reply = {};
  reply.error = error;
}

bool SimDevice::take_effect_as_asked(Flight& flight, Sync sync, std::int64_t shift, SimDiskReply& reply) {
  const SimDiskRequest& request = flight.request;
  const SimAccess& access = request.access;
  const bool sync_lies = disk_.faults().ignores_sync(access);
  switch (access.verb) {
    case Verb::open: {
      const auto file = disk_.open(access.path, request.open.mode);
      set_error(file, reply);
      reply.file = file.value_or(0);
      return true;
    }
    case Verb::lock:
      lock(request, reply);
      return true;
    case Verb::read:
      return read(flight, reply);
    case Verb::transfer:
      reply.bytes.resize(access.length);
      reply.bytes.resize(
          read_at(request.file, access.position, std::as_writable_bytes(std::span(reply.bytes))));
      return true;
    case Verb::write:
      return write(flight, sync_lies ? Sync::no : sync, shift, reply);
    case Verb::sync:
      if (!sync_lies) disk_.sync(request.file, flight.mark);
      return true;
    case Verb::sync_folder:
      set_error(sync_lies ? SimResult<void>{} : disk_.sync_folder(access.path, flight.mark), reply);
      return true;
    case Verb::allocate:
      set_error(disk_.allocate(request.file, access.position, access.length), reply);
      return true;
    case Verb::resize:
      set_error(disk_.resize(request.file, access.length), reply);
      return true;
    case Verb::size:
      reply.count = *disk_.size(request.file);
      return true;
    default:
      take_effect_on_names(request, reply);
      return true;
  }
}

void SimDevice::take_effect_on_names(const SimDiskRequest& request, SimDiskReply& reply) {
  const SimAccess& access = request.access;
  switch (access.verb) {
    case Verb::rename:
      set_error(disk_.rename(access.path, request.path_to), reply);
      return;
    case Verb::remove_file:
      set_error(disk_.remove_file(access.path), reply);
      return;
    case Verb::create_folder:
      set_error(disk_.create_folder(access.path), reply);
      return;
    case Verb::remove_folder:
      set_error(disk_.remove_folder(access.path), reply);
      return;
    case Verb::list: {
      auto entries = disk_.list(access.path);
      set_error(entries, reply);
      if (entries) reply.entries = *std::move(entries);
      return;
    }
    case Verb::free_space: {
      const auto space = disk_.free_space(access.path);
      set_error(space, reply);
      reply.count = space.value_or(0);
      return;
    }
    default:
      CHECK(false, "{} is no operation of a disk", name(access.verb));
  }
}

// ---- locks ------------------------------------------------------------------

void SimDevice::lock(const SimDiskRequest& request, SimDiskReply& reply) {
  auto file = disk_.open(request.access.path, OpenMode::read_write);
  if (!file && file.error() == ENOENT) file = disk_.open(request.access.path, OpenMode::create);
  set_error(file, reply);
  if (!file) return;
  if (!locks_.try_emplace(*file, Lock{.process = request.process}).second) {
    disk_.close(*file);
    reply.error = EWOULDBLOCK;
    return;
  }
  reply.file = *file;
}

void SimDevice::unlock(SimFileId file, std::uint64_t process) {
  const auto found = locks_.find(file);
  if (found == locks_.end() || found->second.process != process) return;
  found->second.given_up = true;
  if (!in_flight_of_.contains(process)) release_locks(process);
}

void SimDevice::release_locks(std::uint64_t process) {
  std::erase_if(locks_,
                [&](const auto& lock) { return lock.second.process == process && lock.second.given_up; });
}

void SimDevice::process_ended(std::uint64_t process) {
  for (auto& [file, lock] : locks_) {
    if (lock.process == process) lock.given_up = true;
  }
  if (!in_flight_of_.contains(process)) release_locks(process);
}

void SimDevice::when_idle(std::uint64_t process, SimEvents::Action action) {
  if (!in_flight_of_.contains(process)) return action();
  when_idle_.insert_or_assign(process, std::move(action));
}

void SimDevice::power_cut(SimCut cut) {
  // What is in flight had not begun, or had begun and become pending: the disk decides what is left of that.
  for (auto& [id, flight] : in_flight_) {
    if (cut == SimCut::drop_all || (cut == SimCut::by_seed && random_.coin())) continue;
    SimDiskReply reply;
    while (!take_effect(flight, Sync::no, reply)) {
    }
  }
  in_flight_.clear();
  in_flight_of_.clear();
  when_idle_.clear();
  locks_.clear();
  disk_.power_cut(random_, cut);
}

}  // namespace millrace
