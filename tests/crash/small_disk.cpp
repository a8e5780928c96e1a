#include "tests/crash/small_disk.h"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sched.h>
#include <string_view>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/check.h"

namespace millrace::test {
namespace {

void write_text(const char* path, const std::string& text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  static_cast<void>(!::write(file, text.data(), text.size()));
  ::close(file);
}

// Mounts of this process are seen by nobody else from here on. Without root, a user namespace gives the
// right.
bool own_mounts() {
  const auto user = ::geteuid();
  const auto group = ::getegid();
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", fmt::format("0 {} 1", user));
    write_text("/proc/self/gid_map", fmt::format("0 {} 1", group));
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

bool run_quietly(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// How far mounting came; as a child's exit status, too.
enum Mounted : std::size_t { mounted, no_own_mounts, no_mount, no_mkfs, no_loop };
constexpr std::array k_reasons = {"", "the system grants no mount namespace, not even with a user namespace",
                                  "it may not mount one", "mkfs.ext4 fails",
                                  "it may not mount an image with a loop device"};

Mounted mount_disk(SmallDiskKind kind, std::uint64_t bytes, const std::string& image, const std::string& at) {
  if (::mkdir(at.c_str(), 0700) != 0 || !own_mounts()) return no_own_mounts;
  if (kind == SmallDiskKind::tmpfs) {
    const std::string size = fmt::format("size={}", bytes);
    return ::mount("none", at.c_str(), "tmpfs", 0, size.c_str()) == 0 ? mounted : no_mount;
  }
  // One journal of the file system's own, and no blocks kept back for root: what is full is full for
  // everybody.
  if (!run_quietly(fmt::format("truncate -s {} {}", bytes, image)) ||
      !run_quietly(fmt::format("mkfs.ext4 -q -m 0 {}", image))) {
    return no_mkfs;
  }
  return run_quietly(fmt::format("mount -o loop {} {}", image, at)) ? mounted : no_loop;
}

}  // namespace

const char* name(SmallDiskKind kind) {
  return kind == SmallDiskKind::ext4 ? "Ext4" : "Tmpfs";
}

// In a child, so that this process keeps its own mounts until a test wants others.
std::string why_not_mountable(SmallDiskKind kind) {
  const tools::test::TestFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    const Mounted how = mount_disk(kind, 16u << 20, folder.path("image"), folder.path("disk"));
    if (how == mounted) ::umount2(folder.path("disk").c_str(), MNT_DETACH);
    ::_exit(static_cast<int>(how));
  }
  int status = 0;
  CHECK(child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status));
  return k_reasons.at(static_cast<std::size_t>(WEXITSTATUS(status)));
}

SmallDisk::SmallDisk(SmallDiskKind kind, std::uint64_t bytes) {
  const Mounted how = mount_disk(kind, bytes, folder_.path("image"), folder_.path("disk"));
  CHECK(how == mounted, "cannot mount {}: {}", name(kind), k_reasons.at(how));
}

void SmallDisk::make_read_only() {
  const std::string at = folder_.path("disk");
  CHECK(::mount(nullptr, at.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0, "cannot remount {}", at);
}

SmallDisk::~SmallDisk() {
  ::umount2(folder_.path("disk").c_str(), MNT_DETACH);
}

}  // namespace millrace::test
