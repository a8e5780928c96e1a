#include "engine/reactor/frame_allocator.h"

#include <array>
#include <new>

namespace millrace {
namespace {

// Address sanitizer finds uses of freed frames only if they are really freed.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool k_recycle = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool k_recycle = false;
#else
constexpr bool k_recycle = true;
#endif
#else
constexpr bool k_recycle = true;
#endif

constexpr std::size_t k_step = 64;  // a cache line; frames of a server are 200 to 2,000 bytes
constexpr std::size_t k_recycled_max = std::size_t{64} << 10;  // larger ones are rare and go to the system
// What a thread keeps after a burst: about 10,000 frames, those of a thousand connections with a request each
// under way.
constexpr std::size_t k_kept_bytes_max = std::size_t{8} << 20;

struct FreeFrame {
  FreeFrame* next;
};

struct FreeLists {
  std::array<FreeFrame*, k_recycled_max / k_step> lists{};
  std::size_t kept_bytes = 0;
  bool closed = false;  // the thread ends; static destructors may still free frames

  FreeLists() = default;
  FreeLists(const FreeLists&) = delete;
  FreeLists& operator=(const FreeLists&) = delete;
  ~FreeLists() {
    closed = true;
    for (FreeFrame*& list : lists) {
      while (list != nullptr) {
        FreeFrame* frame = list;
        list = frame->next;
        ::operator delete(frame);
      }
    }
  }
};

thread_local FreeLists t_free_lists;

constexpr std::size_t list_of(std::size_t size) {
  return (size - 1) / k_step;
}

}  // namespace

void* allocate_frame(std::size_t size) {
  if (!k_recycle || size > k_recycled_max) return ::operator new(size);
  FreeFrame*& list = t_free_lists.lists[list_of(size)];
  const std::size_t rounded = (list_of(size) + 1) * k_step;
  if (list == nullptr) return ::operator new(rounded);
  FreeFrame* frame = list;
  list = frame->next;
  t_free_lists.kept_bytes -= rounded;
  return frame;
}

void free_frame(void* memory, std::size_t size) noexcept {
  const std::size_t rounded = (list_of(size) + 1) * k_step;
  if (!k_recycle || size > k_recycled_max || t_free_lists.closed ||
      t_free_lists.kept_bytes + rounded > k_kept_bytes_max) {
    ::operator delete(memory);
    return;
  }
  FreeFrame*& list = t_free_lists.lists[list_of(size)];
  list = new (memory) FreeFrame{list};
  t_free_lists.kept_bytes += rounded;
}

}  // namespace millrace
