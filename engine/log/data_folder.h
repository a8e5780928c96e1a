// Names of things in a data folder.
//
//   DIR/identity                                  who this folder is, and which journals are in force
//   DIR/lock                                      held by the process that uses the folder
//   DIR/ballast                                   space that is given up when the disk is full
//   DIR/journal/00000007.journal                  journal files, by file id
//   DIR/groups/0000000000000003/                  one folder a group, by group id in hex
//       00000000000000000001.segment              segments, by first index
//       00000000000000004711.segment.new          a segment that is being made: never read
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/ids.h"

namespace millrace {

class DataFolder {
 public:
  explicit DataFolder(std::string root) : root_(std::move(root)) {}
  [[nodiscard]] const std::string& root() const { return root_; }
  [[nodiscard]] std::string identity() const { return root_ + "/identity"; }
  [[nodiscard]] std::string lock() const { return root_ + "/lock"; }
  [[nodiscard]] std::string ballast() const { return root_ + "/ballast"; }
  [[nodiscard]] std::string journal_folder() const { return root_ + "/journal"; }
  [[nodiscard]] std::string journal_file(std::uint32_t file_id) const;
  [[nodiscard]] std::string groups_folder() const { return root_ + "/groups"; }
  [[nodiscard]] std::string group_folder(GroupId group) const;
  [[nodiscard]] std::string segment(GroupId group, Index first) const;
  [[nodiscard]] std::string segment_in_making(GroupId group, Index first) const;

  // The other way round: what a name in such a folder means, or nothing if it is none of ours.
  [[nodiscard]] static std::optional<std::uint32_t> journal_file_id(std::string_view name);
  [[nodiscard]] static std::optional<GroupId> group_of(std::string_view name);
  [[nodiscard]] static std::optional<Index> segment_first_index(std::string_view name);

 private:
  std::string root_;
};

}  // namespace millrace
