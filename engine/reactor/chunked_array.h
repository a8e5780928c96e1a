// An array that grows in chunks and never moves its elements: for tables whose rows the kernel points into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace millrace {

template <class T>
class ChunkedArray {
 public:
  static constexpr std::uint32_t k_chunk = 64;

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(chunks_.size()) * k_chunk; }
  [[nodiscard]] T& operator[](std::uint32_t i) { return chunks_[i / k_chunk][i % k_chunk]; }
  [[nodiscard]] const T& operator[](std::uint32_t i) const { return chunks_[i / k_chunk][i % k_chunk]; }
  void grow() { chunks_.push_back(std::make_unique<T[]>(k_chunk)); }
  // The element at `i`, after growing as far as it takes.
  [[nodiscard]] T& reach(std::uint32_t i) {
    while (i >= size()) grow();
    return (*this)[i];
  }

 private:
  std::vector<std::unique_ptr<T[]>> chunks_;
};

}  // namespace millrace
