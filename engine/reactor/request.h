// Request: one operation of a reactor as a value, before any backend sees it; and its outcome.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/time.h"
#include "engine/reactor/address.h"
#include "engine/reactor/handle.h"

namespace millrace {

enum class Verb : std::uint8_t {
  open,
  read,
  write,
  sync,
  sync_folder,
  allocate,
  resize,
  size,
  rename,
  remove_file,
  create_folder,
  remove_folder,
  list,
  lock,
  free_space,
  transfer,  // files and folders
  listen,
  accept,
  connect,
  receive,
  send,
  shutdown,  // sockets
  sleep,
  signal,  // time and the process
};
[[nodiscard]] const char* name(Verb verb);

// What one transfer moves at most: the best size of a chunk between file and socket.
inline constexpr std::uint64_t k_transfer_max = std::uint64_t{256} << 10;

// Up to k_slices_max ranges that leave, or are filled, in one operation, in order.
inline constexpr std::size_t k_slices_max = 16;
class Slices {
 public:
  Slices() = default;
  Slices(Slice slice) { push(std::move(slice)); }  // NOLINT: a single range is a list of one
  Slices(const Slices&) = default;
  Slices& operator=(const Slices&) = default;
  // Mostly there is one slice: the other places are left alone. Leaves `other` empty.
  Slices(Slices&& other) noexcept { take(other); }
  Slices& operator=(Slices&& other) noexcept {
    if (this == &other) return *this;
    clear();
    take(other);
    return *this;
  }
  ~Slices() = default;
  void push(Slice slice);
  [[nodiscard]] std::size_t count() const { return count_; }
  void clear();
  [[nodiscard]] bool full() const { return count_ == k_slices_max; }
  [[nodiscard]] std::uint64_t length() const;  // bytes in all
  [[nodiscard]] const Slice& operator[](std::size_t i) const { return slices_[i]; }
  [[nodiscard]] const Slice* begin() const { return slices_.data(); }
  [[nodiscard]] const Slice* end() const { return slices_.data() + count_; }

 private:
  void take(Slices& other) noexcept {
    count_ = std::exchange(other.count_, 0);
    for (std::size_t i = 0; i < count_; ++i) slices_[i] = std::move(other.slices_[i]);
  }
  std::array<Slice, k_slices_max> slices_;
  std::size_t count_ = 0;
};

enum class Sync : std::uint8_t {
  no,
  data
};  // data: durable, with the file's size, when the operation completes

// What a receive waits for: at least a byte, or the whole slice.
enum class Amount : std::uint8_t { some, all };

enum class OpenMode : std::uint8_t {
  read,        // must exist
  read_write,  // must exist
  create,      // must not exist (O_EXCL); read and write
};
struct OpenOptions {
  OpenMode mode = OpenMode::read;
  // Ask for direct I/O; where the file system refuses it, the file is opened buffered, File::direct() is
  // false and the reactor logs it once.
  bool direct = false;
};

struct FolderEntry {
  std::string name;
  bool is_folder = false;
  friend auto operator<=>(const FolderEntry&, const FolderEntry&) = default;
};

struct Request {
  Verb verb{};
  Handle handle;  // file or socket worked on
  Handle other;   // transfer: the socket
  Slices slices;  // read, write, receive, send
  std::uint64_t position = 0;
  std::uint64_t length = 0;  // allocate, resize, transfer
  Sync sync = Sync::no;
  Amount amount = Amount::some;
  OpenOptions open;
  std::string path, path_to;  // folders and names
  Address address;
  MonotonicTime deadline = k_never;  // sleep: when it ends

  // Lets go of everything and keeps the strings' memory.
  void reset();
};

// `error` is 0 or a positive errno (errno_table.h says what it becomes): ETIME when the deadline has passed,
// ECANCELED after a cancel. The other fields are the verb's result.
struct Outcome {
  int error = 0;
  std::uint64_t count = 0;
  Handle handle;
  std::vector<FolderEntry> entries;
};

}  // namespace millrace
