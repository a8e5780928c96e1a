// The verbs: each writes down its Request and begins it. What the caller must keep to is checked here, for
// all backends.
#include <utility>

#include "engine/base/check.h"
#include "engine/base/limits.h"
#include "engine/reactor/operation_table.h"
#include "engine/reactor/reactor.h"

namespace millrace {

// An operation that is being written down: its slot and the request in it.
struct Reactor::Draft {
  std::uint32_t slot;
  Request& request;
};

Reactor::Draft Reactor::prepare(Verb verb) {
  const std::uint32_t slot = operations_->allocate();
  Request& made = request(slot);
  made.verb = verb;
  return {slot, made};
}

template <class T>
Operation<T> Reactor::start(const Draft& draft) {
  ++counters_.operations;
  const std::uint32_t generation = (*operations_)[draft.slot].generation;
  begin(draft.slot);
  return Operation<T>({this, draft.slot, generation});
}

template <class T>
Operation<T> Reactor::start_on_path(Verb verb, std::string path) {
  const Draft draft = prepare(verb);
  draft.request.path = std::move(path);
  return start<T>(draft);
}

namespace {

void check_range(const File& file, const Slices& slices, std::uint64_t position) {
  CHECK(file && slices.count() > 0, "a file and at least one slice");
  if (!file.direct()) return;
  CHECK(position % k_block_size == 0, "{}: direct I/O at {}", file.label(), position);
  for (const Slice& slice : slices) {
    CHECK(slice.offset % k_block_size == 0 && slice.length % k_block_size == 0, "{}: direct I/O of [{}, +{})",
          file.label(), slice.offset, slice.length);
  }
}

void claim(bool& moving, const Socket& socket, const char* what) {
  CHECK(!moving, "{}: two operations {} at a time", socket.label(), what);
  moving = true;
}

}  // namespace

// ---- time and the process -----------------------------------------------------------------------

Operation<void> Reactor::sleep_until(MonotonicTime time) {
  const Draft draft = prepare(Verb::sleep);
  draft.request.deadline = time;
  return start<void>(draft);
}

Operation<std::uint64_t> Reactor::wait_signal() {
  return start<std::uint64_t>(prepare(Verb::signal));
}

// ---- folders and names --------------------------------------------------------------------------

Operation<void> Reactor::create_folder(std::string path) {
  return start_on_path<void>(Verb::create_folder, std::move(path));
}
Operation<void> Reactor::remove_folder(std::string path) {
  return start_on_path<void>(Verb::remove_folder, std::move(path));
}
Operation<void> Reactor::remove_file(std::string path) {
  return start_on_path<void>(Verb::remove_file, std::move(path));
}
Operation<void> Reactor::sync_folder(std::string path) {
  return start_on_path<void>(Verb::sync_folder, std::move(path));
}
Operation<std::vector<FolderEntry>> Reactor::list(std::string path) {
  return start_on_path<std::vector<FolderEntry>>(Verb::list, std::move(path));
}
Operation<File> Reactor::lock(std::string path) {
  return start_on_path<File>(Verb::lock, std::move(path));
}
Operation<std::uint64_t> Reactor::free_space(std::string path) {
  return start_on_path<std::uint64_t>(Verb::free_space, std::move(path));
}

Operation<void> Reactor::rename(std::string from, std::string to) {
  const Draft draft = prepare(Verb::rename);
  draft.request.path = std::move(from);
  draft.request.path_to = std::move(to);
  return start<void>(draft);
}

// ---- files --------------------------------------------------------------------------------------

Operation<File> Reactor::open(std::string path, OpenOptions options) {
  const Draft draft = prepare(Verb::open);
  draft.request.path = std::move(path);
  draft.request.open = options;
  return start<File>(draft);
}

Operation<std::uint64_t> Reactor::read(File file, Slices into, std::uint64_t position) {
  check_range(file, into, position);
  const Draft draft = prepare(Verb::read);
  draft.request.handle = std::move(file);
  draft.request.slices = std::move(into);
  draft.request.position = position;
  return start<std::uint64_t>(draft);
}

Operation<std::uint64_t> Reactor::write(File file, Slices from, std::uint64_t position, Sync sync) {
  check_range(file, from, position);
  const Draft draft = prepare(Verb::write);
  draft.request.handle = std::move(file);
  draft.request.slices = std::move(from);
  draft.request.position = position;
  draft.request.sync = sync;
  return start<std::uint64_t>(draft);
}

Operation<void> Reactor::sync(File file) {
  CHECK(file, "sync of no file");
  const Draft draft = prepare(Verb::sync);
  draft.request.handle = std::move(file);
  return start<void>(draft);
}

Operation<void> Reactor::allocate(File file, std::uint64_t position, std::uint64_t length) {
  CHECK(file && length > 0, "allocate of {} bytes", length);
  const Draft draft = prepare(Verb::allocate);
  draft.request.handle = std::move(file);
  draft.request.position = position;
  draft.request.length = length;
  return start<void>(draft);
}

Operation<void> Reactor::resize(File file, std::uint64_t length) {
  CHECK(file, "resize of no file");
  const Draft draft = prepare(Verb::resize);
  draft.request.length = length;
  draft.request.handle = std::move(file);
  return start<void>(draft);
}

Operation<std::uint64_t> Reactor::size(File file) {
  CHECK(file, "size of no file");
  const Draft draft = prepare(Verb::size);
  draft.request.handle = std::move(file);
  return start<std::uint64_t>(draft);
}

Operation<std::uint64_t> Reactor::transfer(File from, std::uint64_t position, std::uint64_t length, Socket to,
                                           MonotonicTime deadline) {
  CHECK(from && to && length > 0, "transfer of {} bytes", length);
  claim(to.state()->sending, to, "send");
  const Draft draft = prepare(Verb::transfer);
  draft.request.handle = std::move(from);
  draft.request.other = std::move(to);
  draft.request.position = position;
  draft.request.length = length;
  draft.request.deadline = deadline;
  return start<std::uint64_t>(draft);
}

// ---- sockets ------------------------------------------------------------------------------------

Operation<Socket> Reactor::listen(Address address) {
  const Draft draft = prepare(Verb::listen);
  draft.request.address = std::move(address);
  return start<Socket>(draft);
}

Operation<Socket> Reactor::accept(Socket listener) {
  CHECK(listener, "accept on no socket");
  const Draft draft = prepare(Verb::accept);
  draft.request.handle = std::move(listener);
  return start<Socket>(draft);
}

Operation<Socket> Reactor::connect(Address address, MonotonicTime deadline) {
  const Draft draft = prepare(Verb::connect);
  draft.request.address = std::move(address);
  draft.request.deadline = deadline;
  return start<Socket>(draft);
}

Operation<std::uint64_t> Reactor::receive(Socket socket, Slice into, MonotonicTime deadline, Amount amount) {
  CHECK(socket && into.length > 0, "receive of {} bytes", into.length);
  claim(socket.state()->receiving, socket, "receive");
  const Draft draft = prepare(Verb::receive);
  draft.request.handle = std::move(socket);
  draft.request.slices.push(std::move(into));
  draft.request.deadline = deadline;
  draft.request.amount = amount;
  return start<std::uint64_t>(draft);
}

Operation<std::uint64_t> Reactor::send(Socket socket, Slices from, MonotonicTime deadline) {
  CHECK(socket && from.length() > 0, "send of nothing");
  claim(socket.state()->sending, socket, "send");
  const Draft draft = prepare(Verb::send);
  draft.request.handle = std::move(socket);
  draft.request.slices = std::move(from);
  draft.request.deadline = deadline;
  return start<std::uint64_t>(draft);
}

Operation<void> Reactor::shutdown(Socket socket) {
  CHECK(socket, "shutdown of no socket");
  const Draft draft = prepare(Verb::shutdown);
  draft.request.handle = std::move(socket);
  return start<void>(draft);
}

}  // namespace millrace
