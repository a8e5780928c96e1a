#include "tests/crash/folder_watch.h"

#include <array>
#include <cstring>
#include <filesystem>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "engine/base/check.h"

namespace millrace::test {
namespace {

constexpr std::uint32_t k_happenings =
    IN_OPEN | IN_ACCESS | IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE;

}  // namespace

FolderWatch::FolderWatch(const std::string& folder) : events_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  CHECK(events_.get() >= 0, "inotify is not to be had");
  if (!std::filesystem::exists(folder)) return;
  CHECK(::inotify_add_watch(events_.get(), folder.c_str(), k_happenings) >= 0, "{}", folder);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_directory())
      CHECK(::inotify_add_watch(events_.get(), entry.path().c_str(), k_happenings) >= 0, "{}",
            entry.path().string());
  }
}

void FolderWatch::wait(std::uint64_t count, int other) {
  std::array<pollfd, 2> ends{pollfd{events_.get(), POLLIN, 0}, pollfd{other, POLLIN, 0}};
  for (take(); count_ < count && ends[1].revents == 0; take()) {
    CHECK(::poll(ends.data(), ends.size(), -1) > 0);
  }
}

std::uint64_t FolderWatch::count() {
  take();
  return count_;
}

void FolderWatch::take() {
  alignas(inotify_event) std::array<char, 4096> bytes;
  ssize_t size = 0;
  while ((size = ::read(events_.get(), bytes.data(), bytes.size())) > 0) {
    for (std::size_t at = 0; at < static_cast<std::size_t>(size); ++count_) {
      inotify_event event;
      std::memcpy(&event, bytes.data() + at, sizeof event);
      at += sizeof event + event.len;
    }
  }
}

}  // namespace millrace::test
