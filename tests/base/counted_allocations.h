// Replaces operator new in the program that links it, so that a test can count what is allocated. Not for
// sanitizers, under which frames and buffers are not recycled.
#pragma once

#include <cstdint>

namespace millrace::test {

// Since the program began, on all threads.
[[nodiscard]] std::uint64_t allocations();

// While one of these lives, every allocation writes the addresses of its callers to standard error: to find
// the one that a failing test has counted.
class ShowAllocations {
 public:
  ShowAllocations();
  ~ShowAllocations();
  ShowAllocations(const ShowAllocations&) = delete;
  ShowAllocations& operator=(const ShowAllocations&) = delete;
};

}  // namespace millrace::test
