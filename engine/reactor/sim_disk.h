// SimDisk: a disk and its file system as a value, with what a power cut may do to them.
//
// The fault model. Everything has two states: what programs see, and what is durable.
// - A write is seen at once and *pending* until it is synced. Direct writes too: the device has a volatile
//   cache.
// - sync(file) makes durable what had completed on that file when the sync was submitted: bytes and size,
//   not the file's name.
// - A write with Sync::data makes its own bytes durable, and the size they give the file, and no other
//   pending bytes.
// - allocate() and resize() change the size; that is pending until the file is synced. Bytes cut off while
//   they were pending never reach the device.
// - Names (of files and folders created, renamed, removed) are pending until sync_folder of the folder they
//   are in. A rename is atomic, within a folder and across two: both names change or neither; a sync of
//   either folder makes it durable.
// - Power cut: of the pending writes of a file each is lost, kept, torn (any subset of its 512-byte sectors)
//   or only its size is kept (zeros), by the seed; of overlapping ones the later wins where it is kept. Of
//   pending name changes any subset survives that keeps the order of changes of each name. Operations in
//   flight had either not begun or were pending. One cut in eight drops everything and one keeps everything.
// - A killed process loses nothing: pending stays seen, and stays pending.
// - A full disk refuses with ENOSPC what would make it fuller, having written what fits, and having allocated
//   it, as ext4 does; a file takes its size in blocks of 4 KiB.
// - Faults that tests switch on (sim_faults.h): errors at the nth operation or by verb and name, once or for
//   ever, before or after it has taken effect; short transfers; lost and misdirected writes; syncs that lie;
//   stalls; refusal of O_DIRECT and RWF_DSYNC. Bit rot: flip().
// Not modelled: hard links, permissions.
//
// No time passes here and nothing is in flight: sim_device.h adds that.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/reactor/request.h"
#include "engine/reactor/sim_content.h"
#include "engine/reactor/sim_faults.h"
#include "engine/reactor/sim_random.h"

namespace millrace {

// A file or folder, whatever its name is at the moment. 0: none; 1: the root folder.
using SimFileId = std::uint64_t;

// The order of changes; a sync covers those below the mark taken when it was submitted.
using SimMark = std::uint64_t;

// What a power cut leaves of everything pending.
enum class SimCut : std::uint8_t { by_seed, drop_all, keep_all };

template <class T>
using SimResult = std::expected<T, int>;  // a positive errno

class SimDisk {
 public:
  explicit SimDisk(std::uint64_t capacity);

  // ---- for tests ------------------------------------------------------------
  // Paths as programs use them; relative ones start at the root.
  [[nodiscard]] SimFaults& faults() { return faults_; }
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  // The bytes programs would read; nothing if there is no such file.
  [[nodiscard]] std::optional<std::string> read_file(std::string_view path) const;
  // Creates or replaces a file, with folders as needed, all of it durable.
  void write_file(std::string_view path, std::string_view bytes);
  // Bit rot: inverts the bits of `mask` in one byte, on the medium. CHECKs that the byte exists.
  void flip(std::string_view path, std::uint64_t position, std::uint8_t mask = 0x01);
  // Every file and folder, sorted: "journal/", "journal/0 65536".
  [[nodiscard]] std::vector<std::string> tree() const;
  [[nodiscard]] std::uint64_t used() const;
  // Pending writes and name changes: 0 when everything is durable.
  [[nodiscard]] std::size_t pending() const;
  // A copy of everything on the disk, pending included, faults not: to try many cuts of one moment, or to go
  // back.
  class Image;
  [[nodiscard]] Image image() const;
  // CHECKs that no process has files open.
  void restore(const Image& image);
  // The files are taken out of every process's hands as well.
  void power_cut(SimRandom& random, SimCut cut);

  // ---- verbs, for sim_device.h ----------------------------------------------
  // Each one at the moment it takes effect. open() counts the file as open until close(): it lives on when
  // its name is removed.
  SimResult<SimFileId> open(std::string_view path, OpenMode mode);
  void hold(SimFileId file);
  void close(SimFileId file);
  SimResult<std::uint64_t> read(SimFileId file, std::uint64_t position, std::span<std::byte> into) const;
  // Writes what fits; fewer bytes than given only when the disk is full.
  SimResult<std::uint64_t> write(SimFileId file, std::uint64_t position, std::span<const std::byte> bytes,
                                 Sync sync);
  void sync(SimFileId file, SimMark mark);
  // The bytes that a sync would have made durable are neither that nor pending from here on; they stay seen.
  void forget_changes(SimFileId file, SimMark mark);
  SimResult<void> sync_folder(std::string_view path, SimMark mark);
  SimResult<void> allocate(SimFileId file, std::uint64_t position, std::uint64_t length);
  SimResult<void> resize(SimFileId file, std::uint64_t size);
  [[nodiscard]] SimResult<std::uint64_t> size(SimFileId file) const;
  SimResult<void> rename(std::string_view from, std::string_view to);
  SimResult<void> remove_file(std::string_view path);
  SimResult<void> create_folder(std::string_view path);
  SimResult<void> remove_folder(std::string_view path);
  SimResult<std::vector<FolderEntry>> list(std::string_view path) const;
  SimResult<std::uint64_t> free_space(std::string_view path) const;
  [[nodiscard]] SimMark mark() const { return state_.next_mark; }

 private:
  enum class Kind : std::uint8_t {
    bytes,  // [begin, end) was written
    grow,   // the size became `end`, with zeros
    shrink  // the size became `begin`
  };
  struct Change {  // of a file's bytes or size, pending
    SimMark mark = 0;
    std::uint64_t begin = 0, end = 0;
    Kind kind = Kind::bytes;
    SimContent bytes;
  };
  struct Node {
    bool is_folder = false;
    bool is_counted = true;  // file: its space is in used_, because a program can reach it
    std::uint32_t opens = 0;
    std::uint32_t links = 0, durable_links = 0;             // names it has, now and durably: 0 or 1
    SimContent content, durable;                            // file
    std::vector<Change> changes;                            // file: in order
    std::map<std::string, SimFileId> names, durable_names;  // folder
  };
  struct Binding {
    SimFileId folder = 0;
    std::string name;
    SimFileId file = 0;  // 0: the name goes
  };
  struct NameChange {  // pending
    SimMark mark = 0;
    std::vector<Binding> bindings;  // one, or the two of a rename
  };

  struct State {
    std::map<SimFileId, Node> nodes;
    std::vector<NameChange> name_changes;
    SimFileId next_file = k_root + 1;
    SimMark next_mark = 1;
  };

 public:
  class Image {
    friend class SimDisk;
    State state_;
  };

 private:
  static constexpr SimFileId k_root = 1;
  struct Place {  // a name in a folder
    std::vector<SimFileId>
        folders;  // from the root to the one that holds the name; empty for the root itself
    std::string name;
    SimFileId file = 0;  // 0: no such name yet
    [[nodiscard]] Binding binding(SimFileId to) const { return {folders.back(), name, to}; }
  };
  [[nodiscard]] SimResult<Place> find(std::string_view path) const;
  // The same where a file or folder must exist; the errno where it does not.
  [[nodiscard]] SimResult<Place> find_existing(std::string_view path, bool is_folder) const;
  [[nodiscard]] Node& node(SimFileId id) { return state_.nodes.at(id); }
  [[nodiscard]] const Node& node(SimFileId id) const { return state_.nodes.at(id); }
  SimFileId add_node(bool is_folder);
  void change_names(std::vector<Binding> bindings);
  void make_names_durable(const std::vector<bool>& chosen);
  // After a link, an open or a pending change has gone: frees space that no program can reach any more, and
  // the node itself when a power cut could not bring it back either.
  void unlinked(SimFileId id);
  void forget(SimFileId id);
  static std::uint64_t space_of(const Node& node);
  // Bytes the file may grow to without a refusal, at most `wanted`.
  [[nodiscard]] std::uint64_t room(const Node& node, std::uint64_t wanted) const;
  void add_change(Node& node, std::uint64_t begin, std::uint64_t end, Kind kind);
  static void apply(const Change& change, Node& node);
  static void supersede(Node& node, std::uint64_t begin, std::uint64_t end);
  static void drop_beyond(Node& node, std::uint64_t size);
  static void cut_file(Node& node, SimRandom& random, SimCut cut);
  void cut_names(SimRandom& random, SimCut cut);
  void remount();
  void recount();

  SimFaults faults_;
  std::uint64_t capacity_;
  std::uint64_t used_ = 0;
  State state_;
};

}  // namespace millrace
