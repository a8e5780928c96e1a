// Files and folders to measure on.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/error.h"

namespace millrace::bench {

// A fresh folder in `parent`, removed with everything in it at the end.
class ScratchFolder {
 public:
  [[nodiscard]] static Result<ScratchFolder> make(const std::string& parent);
  ScratchFolder(ScratchFolder&& other) noexcept;
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();
  [[nodiscard]] std::string path(const std::string& name) const { return root_ + "/" + name; }

 private:
  explicit ScratchFolder(std::string root) : root_(std::move(root)) {}
  std::string root_;
};

// What the blocks of a file are before they are measured: only allocated (the file system has to note of each
// that it is written now), or written before.
enum class FileState { allocated, written };

// Makes the file, in place of one of that name, synced and with nothing of it in the page cache: cached pages
// would send direct writes on a slower way.
[[nodiscard]] Result<void> make_file(const std::string& path, std::uint64_t size, FileState state);

}  // namespace millrace::bench
