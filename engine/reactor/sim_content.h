// SimContent: the bytes of a simulated file, sparse and cheap to copy. Pages of 4 KiB are shared between
// copies until one of them writes, and pages of zeros are not stored, so that a journal of 64 MiB of zeros
// and its durable twin cost nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

namespace millrace {

// What a disk writes whole or not at all.
inline constexpr std::uint64_t k_sector_size = 512;

class SimContent {
 public:
  static constexpr std::uint64_t k_page_size = 4096;

  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Cuts off or extends with zeros.
  void resize(std::uint64_t size);
  // Extends the content where the bytes end beyond it.
  void write(std::uint64_t position, std::span<const std::byte> bytes);
  // Fills `into` up to the end of the content; the count of bytes.
  std::uint64_t read(std::uint64_t position, std::span<std::byte> into) const;
  // Takes [begin, end) over from another content, sharing whole pages with it. Extends.
  void copy_range(const SimContent& from, std::uint64_t begin, std::uint64_t end);
  // What of [begin, end) is stored, as a content of its own: a record of a write that shares its pages.
  [[nodiscard]] SimContent extract(std::uint64_t begin, std::uint64_t end) const;
  [[nodiscard]] std::size_t pages_stored() const { return pages_.size(); }

 private:
  using Page = std::array<std::byte, k_page_size>;
  using Pages =
      std::map<std::uint64_t, std::shared_ptr<const Page>>;  // by position / k_page_size; absent: zeros
  void write_in_page(std::uint64_t page, std::uint64_t offset, std::span<const std::byte> bytes);
  Pages pages_;
  std::uint64_t size_ = 0;
};

}  // namespace millrace
