// SmallDisk: a real file system of a few MiB, so that a test can fill it.
#pragma once

#include <cstdint>
#include <string>

#include "tests/tools/process.h"

namespace millrace::test {

enum class SmallDiskKind : std::uint8_t {
  ext4,  // on a loop device: needs root and loop devices
  tmpfs  // in memory, where direct I/O may be refused: needs the right to mount, if only in a user namespace
};
[[nodiscard]] const char* name(SmallDiskKind kind);

// Why this machine lets no test mount one; "" when it does.
[[nodiscard]] std::string why_not_mountable(SmallDiskKind kind);

// Mounted as long as it lives, for this process and its children alone. CHECKs that it can be.
class SmallDisk {
 public:
  SmallDisk(SmallDiskKind kind, std::uint64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  // From here on nobody writes to it.
  void make_read_only();
  [[nodiscard]] std::string path(const std::string& name) const { return folder_.path("disk/") + name; }

 private:
  tools::test::TestFolder folder_;
};

}  // namespace millrace::test
