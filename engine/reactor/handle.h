// File and Socket: shared references to what a reactor has opened.
//
// An operation in flight holds a reference, so a descriptor is closed only when the last operation on it has
// ended and the last File or Socket is gone. References are counted without atomics: a handle stays on its
// shard.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace millrace {

class Reactor;

// What a reactor keeps of an open file or socket. Backends derive from it.
struct HandleState {
  virtual ~HandleState() = default;
  Reactor* reactor = nullptr;
  std::uint32_t references = 0;
  std::string label;          // path or "peer 127.0.0.1:4242", for messages
  bool direct = false;        // file: O_DIRECT in force; buffers, positions and lengths must be block-aligned
  bool synced_write = false;  // file: RWF_DSYNC in force; else a synced write is a write and an fdatasync
  // socket: an operation that somebody still waits for is moving bytes in this direction
  bool receiving = false;
  bool sending = false;
};

class Handle {
 public:
  Handle() = default;
  explicit Handle(HandleState* state) : state_(state) { retain(); }
  Handle(const Handle& other) : state_(other.state_) { retain(); }
  Handle(Handle&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Handle& operator=(Handle other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Handle() { release(); }
  explicit operator bool() const { return state_ != nullptr; }
  [[nodiscard]] HandleState* state() const { return state_; }
  [[nodiscard]] const std::string& label() const { return state_->label; }

 private:
  void retain() const {
    if (state_ != nullptr) ++state_->references;
  }
  void release();  // at the last reference: Reactor::release_handle
  HandleState* state_ = nullptr;
};

struct File : Handle {
  using Handle::Handle;
  [[nodiscard]] bool direct() const { return state()->direct; }
};
struct Socket : Handle {
  using Handle::Handle;
};

}  // namespace millrace
