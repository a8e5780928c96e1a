// Verbs on files and folders: each is handed to the node's device, which may outlive this reactor with it.
#include <cerrno>
#include <utility>

#include "engine/base/check.h"
#include "engine/reactor/sim_reactor.h"
#include "engine/reactor/sim_reactor_handles.h"
#include "engine/reactor/sim_world.h"

namespace millrace {

void SimReactor::begin_on_disk(const FlightPtr& flight) {
  const Request& made = request(flight->slot);
  SimDiskRequest asked;
  asked.access = {.verb = made.verb,
                  .path = made.path,
                  .position = made.position,
                  .length = made.length,
                  .sync = made.sync};
  asked.path_to = made.path_to;
  asked.open = made.open;
  asked.slices = made.slices;
  if (made.handle) {
    auto& file = static_cast<FileState&>(*made.handle.state());
    const bool is_change =
        made.verb == Verb::write || made.verb == Verb::allocate || made.verb == Verb::resize;
    if (file.is_read_only && is_change) return soon(flight, &SimReactor::refuse_file);
    asked.file = file.file;
    asked.is_direct = file.direct;
    asked.access.path = file.label;
  }
  if (made.verb == Verb::read || made.verb == Verb::write) asked.access.length = made.slices.length();
  // Without RWF_DSYNC this is the write; disk_done() goes on with the fdatasync.
  if (made.verb == Verb::write && !made.handle.state()->synced_write) asked.access.sync = Sync::no;
  submit(flight, std::move(asked));
}

void SimReactor::submit(const FlightPtr& flight, SimDiskRequest asked) {
  asked.process = process_;
  node_.device().submit(std::move(asked), [flight, &node = node_, process = process_](SimDiskReply reply) {
    if (flight->reactor != nullptr) {
      flight->reactor->disk_done(flight, std::move(reply));
    } else if (reply.file != 0) {  // opened or locked for a process that is gone
      node.device().unlock(reply.file, process);
      node.disk().close(reply.file);
    }
  });
}

void SimReactor::disk_done(const FlightPtr& flight, SimDiskReply reply) {
  const Request& made = request(flight->slot);
  if (made.verb == Verb::transfer) {
    if (reply.error != 0) return complete(*flight, reply.error);
    flight->bytes = std::move(reply.bytes);
    return try_transfer(flight);
  }
  FileState* file = made.handle ? &static_cast<FileState&>(*made.handle.state()) : nullptr;
  const bool needs_sync = made.verb == Verb::write && made.sync == Sync::data && !file->synced_write;
  if (needs_sync && reply.error == 0 && !flight->is_syncing) {
    flight->is_syncing = true;
    SimDiskRequest sync;
    sync.access = {.verb = Verb::sync, .path = file->label, .sync = Sync::data};
    sync.file = file->file;
    sync.is_direct = file->direct;
    return submit(flight, std::move(sync));
  }
  Outcome outcome{
      .error = reply.error, .count = reply.count, .handle = {}, .entries = std::move(reply.entries)};
  if (flight->is_syncing && reply.error == 0) outcome.count = made.slices.length();
  if (reply.file != 0) outcome.handle = make_file(made, reply.file);
  complete(*flight, std::move(outcome));
}

void SimReactor::refuse_file(const FlightPtr& flight) {
  complete(*flight, EBADF);
}

// ---- handles ----------------------------------------------------------------

Handle SimReactor::make_file(const Request& opened, SimFileId id) {
  const SimFaults& faults = node_.disk().faults();
  auto* file = new FileState;
  file->reactor = this;
  file->label = opened.path;
  file->file = id;
  file->is_read_only = opened.verb == Verb::open && opened.open.mode == OpenMode::read;
  file->is_lock = opened.verb == Verb::lock;
  file->direct = opened.open.direct && !faults.refuse_direct;
  file->synced_write = !faults.refuse_synced_writes;
  if (opened.open.direct && !file->direct && !std::exchange(has_logged_fallback_, true)) {
    log(LogLevel::warning, "the file system of " + opened.path + " refuses O_DIRECT; its files are buffered");
  }
  return Handle(file);
}

void SimReactor::close_file(FileState& file) {
  if (file.is_lock) node_.device().unlock(file.file, process_);
  node_.disk().close(file.file);
}

void SimReactor::release_handle(HandleState* state) {
  if (auto* file = dynamic_cast<FileState*>(state)) {
    close_file(*file);
  } else {
    release_socket(static_cast<SocketState&>(*state));
  }
  delete state;
}

}  // namespace millrace
