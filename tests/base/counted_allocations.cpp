#include "tests/base/counted_allocations.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <execinfo.h>
#include <new>
#include <unistd.h>

namespace {
std::atomic<std::uint64_t> count{0};
std::atomic<bool> show{false};

void show_callers() {
  std::array<void*, 12> callers;
  const int found = ::backtrace(callers.data(), static_cast<int>(callers.size()));
  ::backtrace_symbols_fd(callers.data(), found, STDERR_FILENO);
  (void)!::write(STDERR_FILENO, "\n", 1);
}

void* counted(std::size_t size, std::size_t alignment) {
  count.fetch_add(1, std::memory_order_relaxed);
  if (show.load(std::memory_order_relaxed)) show_callers();
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
void* counted_or_abort(std::size_t size, std::size_t alignment) {
  void* memory = counted(size, alignment);
  if (memory == nullptr) std::abort();
  return memory;
}
}  // namespace

void* operator new(std::size_t size) {
  return counted_or_abort(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted_or_abort(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace millrace::test {

std::uint64_t allocations() {
  return count.load();
}

ShowAllocations::ShowAllocations() {
  std::array<void*, 1> first;
  (void)::backtrace(first.data(), 1);  // the first call allocates
  show.store(true);
}
ShowAllocations::~ShowAllocations() {
  show.store(false);
}

}  // namespace millrace::test
