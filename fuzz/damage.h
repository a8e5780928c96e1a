// Damage: what disks, file systems and people do to a data folder, taken from an input.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "fuzz/input.h"
#include "fuzz/valid_folder.h"

namespace millrace::fuzz {

enum class DamageKind : std::uint8_t {
  flipped,         // a byte: `value` says which bits
  zeroed_sector,   // 512 bytes
  zeroed_block,    // 4 KiB
  lost_sector,     // an older write shows again; an odd `value`: what the first start left, else the second
  lost_block,      // the same with 4 KiB
  lost_file,       // all of the file is the older one, or it is not there, or there again
  misdirected,     // the other file's block stands here
  cut_off,         // the file ends here
  extended,        // by `value` blocks of zeros
  removed,         // the file
  removed_folder,  // with all files of the folder in which the file stands
  swapped,         // the contents of both files
  moved,           // the file stands under the other one's name
};
inline constexpr std::uint8_t k_damage_kinds = 13;
inline constexpr std::size_t k_damages_max = 4;

// In an input: u8 kind, u8 file, u16 block, u16 byte, u8 value, u8 other file, u16 other block. Files count
// by name, over all that ever were in the folder, and blocks are those that hold something: so nearly every
// input damages what matters.
struct Damage {
  DamageKind kind = DamageKind::flipped;
  std::string path{};
  std::uint64_t block = 0;  // position
  std::uint16_t byte = 0;   // in the block
  std::uint8_t value = 0;
  std::string other{};
  std::uint64_t other_block = 0;
};
void put_damage(InputWriter& into, const ValidFolder& folder, const Damage& damage);

class DamagedFolder {
 public:
  // Up to k_damages_max of them, until the input ends.
  DamagedFolder(const ValidFolder& valid, Input& input);
  // What stands there; nothing if no file does.
  [[nodiscard]] const std::string* find(const std::string& path) const;
  // What is no longer as it was: also what is not there, or should not be.
  [[nodiscard]] const std::set<std::string>& damaged() const { return damaged_; }
  // Whether these bytes of a file are still what they were.
  [[nodiscard]] bool is_whole(const ValidCommit::Range& range) const;
  // Puts all of it onto the disk.
  void restore(SimDisk& disk) const;

 private:
  class Damager;
  const ValidFolder& valid_;
  std::map<std::string, std::optional<std::string>> changed_;  // nothing: no file
  std::set<std::string> removed_folders_;
  std::set<std::string> damaged_;
};

}  // namespace millrace::fuzz
