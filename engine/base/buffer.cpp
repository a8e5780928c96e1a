// How a block comes home. A Buffer may be let go on any shard, and nothing tells which one that is, so every
// block returns through one lock-free stack: releasing shards push, the owner takes the whole stack at once
// when its own free lists have nothing (taking all of it at once is what makes the stack free of the ABA
// problem).
//
// The pool's state outlives the pool: it is shared by the pool and every block that is out, and the last of
// them frees it.
#include "engine/base/buffer.h"

#include <array>
#include <bit>
#include <new>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/limits.h"

namespace millrace {
namespace {

constexpr unsigned k_class_shift_min = 12;  // 4 KiB
constexpr unsigned k_class_shift_max = 24;  // 16 MiB
constexpr std::uint32_t k_adopted_capacity_max = 1_MiB;
constexpr unsigned k_classes = k_class_shift_max - k_class_shift_min + 1;
static_assert(k_block_size == 1u << k_class_shift_min);

constexpr std::uint32_t capacity_of(unsigned size_class) {
  return 1u << (k_class_shift_min + size_class);
}

unsigned class_of(std::uint64_t size) {
  if (size <= k_block_size) return 0;
  return static_cast<unsigned>(std::bit_width(size - 1)) - k_class_shift_min;
}

// A list of free blocks, linked through the blocks' descriptors.
class FreeList {
 public:
  void push(BufferBlock* block) {
    block->next_free = head_;
    head_ = block;
  }
  BufferBlock* pop() {
    BufferBlock* block = head_;
    if (block != nullptr) head_ = block->next_free;
    return block;
  }

 private:
  BufferBlock* head_ = nullptr;
};

}  // namespace

struct BufferPoolState {
  explicit BufferPoolState(BufferPool::Options the_options) : options(the_options) {}
  BufferPoolState(const BufferPoolState&) = delete;
  BufferPoolState& operator=(const BufferPoolState&) = delete;
  ~BufferPoolState() {
    free_idle();
    for (BufferBlock* block : adopted_blocks) delete block;
  }

  const BufferPool::Options options;

  // The owner's.
  std::array<FreeList, k_classes> free;
  std::array<FreeList, k_classes> free_adopted;
  std::vector<BufferBlock*> adopted_blocks;
  std::span<std::byte> uncarved;
  std::int32_t registered = -1;

  // Everybody's.
  std::atomic<BufferBlock*> returned{nullptr};
  std::atomic<std::uint64_t> bytes_in_use{0};
  std::atomic<std::uint64_t> bytes_in_use_max{0};
  std::atomic<std::uint64_t> idle_bytes{0};  // of the system's blocks in `free` and `returned`
  std::atomic<bool> closed{false};           // the pool is gone
  std::atomic<std::uint64_t> holders{1};     // the pool and every block that is out

  void drain() {
    BufferBlock* block = returned.exchange(nullptr, std::memory_order_acquire);
    while (block != nullptr) {
      BufferBlock* following = block->next_free;
      (block->adopted ? free_adopted : free)[block->size_class].push(block);
      block = following;
    }
  }

  BufferBlock* take(unsigned size_class) {
    if (BufferBlock* block = free_adopted[size_class].pop()) return block;
    BufferBlock* block = free[size_class].pop();
    if (block != nullptr) idle_bytes.fetch_sub(block->capacity, std::memory_order_relaxed);
    return block;
  }

  BufferBlock* carve(unsigned size_class) {
    const std::uint32_t capacity = capacity_of(size_class);
    if (capacity > k_adopted_capacity_max || uncarved.size() < capacity) return nullptr;
    BufferBlock* block = describe(uncarved.data(), size_class);
    block->adopted = true;
    block->registered = registered;
    adopted_blocks.push_back(block);
    uncarved = uncarved.subspan(capacity);
    return block;
  }

  BufferBlock* allocate(unsigned size_class) {
    make_room(size_class);
    void* memory = ::operator new(capacity_of(size_class), std::align_val_t{k_block_size}, std::nothrow);
    return memory == nullptr ? nullptr : describe(static_cast<std::byte*>(memory), size_class);
  }

  // Blocks of other classes that fill the idle allowance would make every block of this class a fresh one,
  // with its page faults, again and again. Called when a fresh one is needed anyway: frees idle ones, largest
  // first, until this one will be kept when it comes home.
  void make_room(unsigned size_class) {
    const std::uint64_t capacity = capacity_of(size_class);
    if (capacity > options.idle_bytes_max) return;
    for (unsigned i = k_classes; i-- > 0;) {
      while (idle_bytes.load(std::memory_order_relaxed) + capacity > options.idle_bytes_max) {
        BufferBlock* block = free[i].pop();
        if (block == nullptr) break;
        idle_bytes.fetch_sub(block->capacity, std::memory_order_relaxed);
        destroy(block);
      }
    }
  }

  // On any shard.
  void give_back(BufferBlock* block) {
    bytes_in_use.fetch_sub(block->capacity, std::memory_order_relaxed);
    if (keep(*block)) {
      BufferBlock* head = returned.load(std::memory_order_relaxed);
      do {
        block->next_free = head;
      } while (
          !returned.compare_exchange_weak(head, block, std::memory_order_release, std::memory_order_relaxed));
    } else {
      destroy(block);
    }
    let_go();
  }

  // By the pool's destructor. A shard that is giving back a block right now may still push it; the last
  // holder frees that one.
  void close() {
    closed.store(true, std::memory_order_relaxed);
    free_idle();
    let_go();
  }

 private:
  void let_go() {
    if (holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  void free_idle() {
    drain();
    for (FreeList& list : free) {
      while (BufferBlock* block = list.pop()) destroy(block);
    }
  }

  BufferBlock* describe(std::byte* data, unsigned size_class) {
    auto* block = new BufferBlock;
    block->data = data;
    block->capacity = capacity_of(size_class);
    block->size_class = static_cast<std::uint8_t>(size_class);
    block->pool = this;
    return block;
  }

  bool keep(const BufferBlock& block) {
    if (block.adopted) return true;
    if (closed.load(std::memory_order_relaxed)) return false;
    std::uint64_t idle = idle_bytes.load(std::memory_order_relaxed);
    do {
      if (idle + block.capacity > options.idle_bytes_max) return false;
    } while (!idle_bytes.compare_exchange_weak(idle, idle + block.capacity, std::memory_order_relaxed));
    return true;
  }

  static void destroy(BufferBlock* block) {
    ::operator delete(block->data, std::align_val_t{k_block_size});
    delete block;
  }
};

void Buffer::give_back(BufferBlock* block) {
  block->pool->give_back(block);
}

BufferPool::BufferPool(Options options) : state_(new BufferPoolState(options)) {}

BufferPool::~BufferPool() {
  state_->close();
}

Result<Buffer> BufferPool::acquire(std::uint64_t size) {
  const unsigned size_class = class_of(size);
  if (size_class >= k_classes) {
    return fail(ErrorCode::invalid_argument, "a buffer of {} bytes was asked for, the largest has {}", size,
                capacity_of(k_classes - 1));
  }
  BufferPoolState& state = *state_;
  const std::uint64_t in_use = state.bytes_in_use.load(std::memory_order_relaxed) + capacity_of(size_class);
  if (in_use > state.options.bytes_max) {
    return fail(ErrorCode::overloaded,
                "the shard's buffers are used up: {} bytes asked for, {} of {} in use; try again when "
                "requests have ended",
                size, in_use - capacity_of(size_class), state.options.bytes_max);
  }
  BufferBlock* block = state.take(size_class);
  if (block == nullptr) {
    state.drain();
    block = state.take(size_class);
  }
  if (block == nullptr) block = state.carve(size_class);
  if (block == nullptr) block = state.allocate(size_class);
  if (block == nullptr) {
    return fail(ErrorCode::overloaded, "the system has no memory for a buffer of {} bytes",
                capacity_of(size_class));
  }
  state.holders.fetch_add(1, std::memory_order_relaxed);
  state.bytes_in_use.fetch_add(block->capacity, std::memory_order_relaxed);
  // Only the owner raises the two, so a plain maximum is right.
  if (in_use > state.bytes_in_use_max.load(std::memory_order_relaxed)) {
    state.bytes_in_use_max.store(in_use, std::memory_order_relaxed);
  }
  return Buffer(block);
}

std::uint64_t BufferPool::bytes_in_use() const {
  return state_->bytes_in_use.load(std::memory_order_relaxed);
}

std::uint64_t BufferPool::bytes_in_use_max() const {
  return state_->bytes_in_use_max.load(std::memory_order_relaxed);
}

std::uint64_t BufferPool::idle_bytes() const {
  return state_->idle_bytes.load(std::memory_order_relaxed);
}

void BufferPool::adopt(std::span<std::byte> region, std::int32_t registered) {
  CHECK(state_->adopted_blocks.empty() && state_->uncarved.empty(), "a pool adopts one region");
  CHECK(reinterpret_cast<std::uintptr_t>(region.data()) % k_block_size == 0, "region at {}",
        static_cast<const void*>(region.data()));
  state_->uncarved = region;
  state_->registered = registered;
}

}  // namespace millrace
