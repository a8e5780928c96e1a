// CallTable: a client's requests from their call to their outcome. Holds no connection and sends nothing;
// connection.h moves the calls along:
//
//   open() -> waiting -> sent -> done -> (the caller has taken the result, or has gone) -> free
//               |          |
//               +----------+--> done, when the call's limit has passed or the connection is given up
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/time.h"
#include "engine/reactor/reactor.h"
#include "engine/wire/frame.h"

namespace millrace {

struct CallId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  // As a frame's correlation.
  [[nodiscard]] std::uint64_t number() const { return (std::uint64_t{generation} << 32) | slot; }
  [[nodiscard]] static CallId of(std::uint64_t number) {
    return {static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32)};
  }
};

// The answer's bytes, which keep their memory.
struct CallAnswer {
  Slice table;
  Slice payload;
};

enum class CallKind : std::uint8_t {
  answered,    // done when its answer is there
  unanswered,  // done when its bytes have left
  connect,     // no frame at all: done when there is a connection
};

struct CallRequest {
  FrameType type = FrameType::error;
  CallKind kind = CallKind::answered;
  Slice payload{};
  MonotonicTime deadline = k_never;
  Duration patience{0};  // how long it waits for a connection
};

class CallTable {
 public:
  enum class State : std::uint8_t { free, waiting, sent, done };
  struct Call {
    State state = State::free;
    std::uint32_t generation = 1;
    CallRequest request;
    MonotonicTime started{};
    MonotonicTime sent{};
    std::vector<std::byte> table;  // keeps its memory from call to call
    std::optional<Result<CallAnswer>> result;
    std::coroutine_handle<> waiter;
    Ticket ticket = 0;
  };

  explicit CallTable(Reactor& reactor) : reactor_(reactor) {}

  CallId open(CallRequest request, std::span<const std::byte> table);
  // The caller has gone or has taken the result. What was sent is then a stray's business.
  void release(CallId id);
  // Nothing when the call is over.
  [[nodiscard]] Call* find(CallId id);
  void finish(CallId id, Result<CallAnswer> result);

  // The first of those that wait, in the order of the calls; nothing when none does.
  [[nodiscard]] std::optional<CallId> first_waiting();
  void mark_sent(CallId id);

  // Ends every call in `state` for which `judge` has an error.
  template <class Judge>
  void end_each(State state, Judge judge) {
    for (std::uint32_t slot = 0; slot < calls_.size(); ++slot) {
      if (calls_[slot].state != state) continue;
      if (std::optional<Error> error = judge(calls_[slot])) {
        finish({slot, calls_[slot].generation}, fail(*std::move(error)));
      }
    }
  }

 private:
  Reactor& reactor_;
  std::deque<Call> calls_;  // stays put as it grows
  std::vector<std::uint32_t> free_;
  std::deque<CallId> waiting_;  // those that are over are skipped when they come to the front
};

}  // namespace millrace
