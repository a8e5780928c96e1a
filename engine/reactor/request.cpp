#include "engine/reactor/request.h"

#include "engine/base/check.h"

namespace millrace {

const char* name(Verb verb) {
  switch (verb) {
    case Verb::open:
      return "open";
    case Verb::read:
      return "read";
    case Verb::write:
      return "write";
    case Verb::sync:
      return "sync";
    case Verb::sync_folder:
      return "sync folder";
    case Verb::resize:
      return "resize";
    case Verb::allocate:
      return "allocate";
    case Verb::size:
      return "size of";
    case Verb::rename:
      return "rename";
    case Verb::remove_file:
      return "remove file";
    case Verb::create_folder:
      return "create folder";
    case Verb::remove_folder:
      return "remove folder";
    case Verb::list:
      return "list";
    case Verb::lock:
      return "lock";
    case Verb::free_space:
      return "free space of";
    case Verb::transfer:
      return "transfer";
    case Verb::listen:
      return "listen on";
    case Verb::accept:
      return "accept on";
    case Verb::connect:
      return "connect to";
    case Verb::receive:
      return "receive from";
    case Verb::send:
      return "send to";
    case Verb::shutdown:
      return "shut down";
    case Verb::sleep:
      return "sleep";
    case Verb::signal:
      return "wait for a signal";
  }
  return "unknown verb";
}

void Slices::push(Slice slice) {
  CHECK(!full(), "more than {} slices in one operation", k_slices_max);
  CHECK(slice.buffer && std::uint64_t{slice.offset} + slice.length <= slice.buffer.capacity(),
        "a slice [{}, +{}) outside its buffer", slice.offset, slice.length);
  slices_[count_++] = std::move(slice);
}

void Slices::clear() {
  for (std::size_t i = 0; i < count_; ++i) slices_[i] = Slice{};
  count_ = 0;
}

std::uint64_t Slices::length() const {
  std::uint64_t length = 0;
  for (const Slice& slice : *this) length += slice.length;
  return length;
}

void Request::reset() {
  handle = {};
  other = {};
  slices.clear();
  position = 0;
  length = 0;
  sync = Sync::no;
  amount = Amount::some;
  open = {};
  path.clear();
  path_to.clear();
  address.host.clear();
  address.port = 0;
  deadline = k_never;
}

}  // namespace millrace
