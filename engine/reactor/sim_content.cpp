#include "engine/reactor/sim_content.h"

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

bool all_zero(std::span<const std::byte> bytes) {
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

void SimContent::resize(std::uint64_t size) {
  if (size < size_) {
    pages_.erase(pages_.lower_bound((size + k_page_size - 1) / k_page_size), pages_.end());
    const std::uint64_t kept = size % k_page_size;
    const std::array<std::byte, k_page_size> zeros{};
    if (kept != 0) write_in_page(size / k_page_size, kept, std::span(zeros).subspan(kept));
  }
  size_ = size;
}

void SimContent::write_in_page(std::uint64_t page, std::uint64_t offset, std::span<const std::byte> bytes) {
  const auto found = pages_.find(page);
  if (bytes.size() == k_page_size || found == pages_.end()) {
    if (all_zero(bytes)) {
      if (found != pages_.end()) pages_.erase(found);
      return;
    }
  }
  auto changed = found == pages_.end() || bytes.size() == k_page_size
                     ? std::make_shared<Page>()
                     : std::make_shared<Page>(*found->second);
  std::memcpy(changed->data() + offset, bytes.data(), bytes.size());
  pages_.insert_or_assign(page, std::move(changed));
}

void SimContent::write(std::uint64_t position, std::span<const std::byte> bytes) {
  size_ = std::max(size_, position + bytes.size());
  while (!bytes.empty()) {
    const std::uint64_t offset = position % k_page_size;
    const auto part = bytes.first(std::min<std::uint64_t>(bytes.size(), k_page_size - offset));
    write_in_page(position / k_page_size, offset, part);
    position += part.size();
    bytes = bytes.subspan(part.size());
  }
}

std::uint64_t SimContent::read(std::uint64_t position, std::span<std::byte> into) const {
  if (position >= size_) return 0;
  into = into.first(std::min<std::uint64_t>(into.size(), size_ - position));
  if (!into.empty()) std::memset(into.data(), 0, into.size());
  const std::uint64_t end = position + into.size();
  for (auto page = pages_.lower_bound(position / k_page_size); page != pages_.end(); ++page) {
    const std::uint64_t page_begin = page->first * k_page_size;
    if (page_begin >= end) break;
    const std::uint64_t from = std::max(position, page_begin), to = std::min(end, page_begin + k_page_size);
    std::memcpy(into.data() + (from - position), page->second->data() + (from - page_begin), to - from);
  }
  return into.size();
}

void SimContent::copy_range(const SimContent& from, std::uint64_t begin, std::uint64_t end) {
  size_ = std::max(size_, end);
  const auto copy_part = [&](std::uint64_t part_begin, std::uint64_t part_end) {
    std::array<std::byte, k_page_size> bytes{};
    const auto part = std::span(bytes).first(part_end - part_begin);
    from.read(part_begin, part);  // what lies beyond its end is zeros
    write_in_page(part_begin / k_page_size, part_begin % k_page_size, part);
  };
  const std::uint64_t first_whole = (begin + k_page_size - 1) / k_page_size, end_whole = end / k_page_size;
  if (first_whole > end_whole) return copy_part(begin, end);  // inside one page
  if (begin % k_page_size != 0) copy_part(begin, first_whole * k_page_size);
  pages_.erase(pages_.lower_bound(first_whole), pages_.lower_bound(end_whole));
  pages_.insert(from.pages_.lower_bound(first_whole), from.pages_.lower_bound(end_whole));
  if (end % k_page_size != 0) copy_part(end_whole * k_page_size, end);
}

SimContent SimContent::extract(std::uint64_t begin, std::uint64_t end) const {
  SimContent part;
  part.size_ = end;
  part.pages_.insert(pages_.lower_bound(begin / k_page_size),
                     pages_.lower_bound((end + k_page_size - 1) / k_page_size));
  return part;
}

}  // namespace millrace
