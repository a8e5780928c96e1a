#include "bench/support/files.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <new>
#include <unistd.h>
#include <utility>

#include "engine/base/limits.h"
#include "engine/reactor/unique_fd.h"

namespace millrace::bench {
namespace {

constexpr std::size_t k_piece = std::size_t{1} << 20;

struct FreeAligned {
  void operator()(std::byte* bytes) const { ::operator delete(bytes, std::align_val_t{k_block_size}); }
};

Result<void> write_zeros(int fd, const std::string& path, std::uint64_t size) {
  const std::unique_ptr<std::byte, FreeAligned> zeros(
      static_cast<std::byte*>(::operator new(k_piece, std::align_val_t{k_block_size})));
  std::memset(zeros.get(), 0, k_piece);
  for (std::uint64_t at = 0; at < size; at += k_piece) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(k_piece, size - at));
    if (::pwrite(fd, zeros.get(), length, static_cast<off_t>(at)) != static_cast<ssize_t>(length))
      return fail(ErrorCode::io_error, "writing {}: {}", path, std::strerror(errno));
  }
  return {};
}

}  // namespace

Result<ScratchFolder> ScratchFolder::make(const std::string& parent) {
  std::string name = parent + "/millrace-bench-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr)
    return fail(ErrorCode::io_error, "cannot make a folder in {}: {}", parent, std::strerror(errno));
  return ScratchFolder(std::filesystem::absolute(name).string());
}

ScratchFolder::ScratchFolder(ScratchFolder&& other) noexcept : root_(std::exchange(other.root_, {})) {}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!root_.empty()) std::filesystem::remove_all(root_, ignored);
}

Result<void> make_file(const std::string& path, std::uint64_t size, FileState state) {
  ::unlink(path.c_str());
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600));
  if (fd.get() < 0) return fail(ErrorCode::io_error, "cannot make {}: {}", path, std::strerror(errno));
  if (const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(size)); error != 0)
    return fail(ErrorCode::io_error, "no space for {} bytes in {}: {}", size, path, std::strerror(error));
  if (state == FileState::written) TRY_VOID(write_zeros(fd.get(), path, size));
  if (::fsync(fd.get()) != 0) return fail(ErrorCode::io_error, "syncing {}: {}", path, std::strerror(errno));
  return {};
}

}  // namespace millrace::bench
