// FolderWatch: what another process does to a folder, as moments at which a test can act: the nth time that
// something in it is opened, read, written, made, renamed or removed.
#pragma once

#include <cstdint>
#include <string>

#include "engine/reactor/unique_fd.h"

namespace millrace::test {

class FolderWatch {
 public:
  // Watches the folder and those in it that are there now.
  explicit FolderWatch(const std::string& folder);

  // Returns when `count` things have happened since it was made, or there is something to read from `other`,
  // or that has come to its end.
  void wait(std::uint64_t count, int other);
  // What has happened so far; the kernel counts the same thing to the same file in a row once.
  [[nodiscard]] std::uint64_t count();

 private:
  void take();
  UniqueFd events_;
  std::uint64_t count_ = 0;
};

}  // namespace millrace::test
