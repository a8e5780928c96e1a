#include "engine/reactor/huge_pages.h"

#include <cstdint>
#include <sys/mman.h>

#include "engine/base/limits.h"

namespace millrace {
namespace {

constexpr std::size_t k_huge_page = 2_MiB;

void* take(std::size_t bytes) {
  // Only a range that is aligned to a huge page can be one: take too much, and give back the ends.
  const std::size_t taken = bytes + k_huge_page;
  void* memory = ::mmap(nullptr, taken, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(memory);
  const std::size_t past = reinterpret_cast<std::uintptr_t>(begin) % k_huge_page;
  const std::size_t before = past == 0 ? 0 : k_huge_page - past;
  if (before > 0) ::munmap(begin, before);
  ::munmap(begin + before + bytes, taken - before - bytes);
  (void)::madvise(begin + before, bytes, MADV_HUGEPAGE);
  return begin + before;
}

void give_back(void* memory, std::size_t bytes) {
  ::munmap(memory, bytes);
}

}  // namespace

PageSource huge_pages() {
  return {take, give_back};
}

}  // namespace millrace
