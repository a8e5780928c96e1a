// The contract of Reactor, run on every backend: contract_*_test.cpp hold the cases, and each backend
// instantiates them with harnesses of its own:
//
//   INSTANTIATE_TEST_SUITE_P(Uring, ReactorContract, testing::Values(Backend{"Plain", [] { ... }}),
//   backend_name);
#pragma once

#include <cstdint>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/check.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/wait.h"
#include "tests/reactor/serving_shards.h"

namespace millrace {

class ReactorHarness {
 public:
  virtual ~ReactorHarness() = default;
  // Starts `shards` shards, runs `main` on shard 0 while the others serve what is posted to them, and stops
  // all of them when it has returned, with whatever is still in flight. May be called several times; files
  // stay.
  virtual void run(std::uint32_t shards, const TestMain& main) = 0;
  // A folder for the test alone, empty at first.
  [[nodiscard]] virtual std::string folder() const = 0;
};

struct Backend {
  std::string name;
  std::function<std::unique_ptr<ReactorHarness>()> make;
};
inline std::string backend_name(const testing::TestParamInfo<Backend>& info) {
  return info.param.name;
}
inline void PrintTo(const Backend& backend, std::ostream* out) {
  *out << backend.name;
}

// The value of a result that the test cannot do without.
template <class T>
T must(Result<T> result) {
  CHECK(result.has_value(), "{}: {}", name(result.error().code), result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

// The code of a result that has to be an error.
template <class T>
ErrorCode code_of(const Result<T>& result) {
  return result ? ErrorCode{} : result.error().code;
}

// Returns in the reactor's next turn. What was begun before is with the backend then.
inline Task<void> next_turn(Reactor& reactor) {
  co_await reactor.yield();
  co_await reactor.yield();
}

inline std::ostream& operator<<(std::ostream& out, ErrorCode code) {
  return out << name(code);
}

class ReactorContract : public testing::TestWithParam<Backend> {
 protected:
  void run(const TestMain& main) { harness_->run(1, main); }
  void run(std::uint32_t shards, const TestMain& main) { harness_->run(shards, main); }
  [[nodiscard]] std::string path(std::string_view file) const {
    return harness_->folder() + "/" + std::string(file);
  }

  static Slice space(Reactor& reactor, std::uint32_t length) {
    return {must(reactor.buffers().acquire(length)), 0, length};
  }
  static Slice slice_of(Reactor& reactor, std::string_view text) {
    Slice slice = space(reactor, static_cast<std::uint32_t>(text.size()));
    std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), slice.buffer.data());
    return slice;
  }
  // `length` bytes of which each differs from its neighbours.
  static Slice pattern(Reactor& reactor, std::uint32_t length, std::uint32_t seed) {
    Slice slice = space(reactor, length);
    for (std::uint32_t i = 0; i < length; ++i)
      slice.buffer.data()[i] = static_cast<std::byte>(seed + i * 7 + i / 251);
    return slice;
  }
  static std::string text_of(const Slice& slice, std::uint64_t length) {
    return {reinterpret_cast<const char*>(slice.bytes().data()), static_cast<std::size_t>(length)};
  }
  static bool equal(const Slice& a, const Slice& b) { return std::ranges::equal(a.bytes(), b.bytes()); }

  static Task<File> created(Reactor& reactor, std::string file) {
    co_return must(co_await reactor.open(std::move(file), {.mode = OpenMode::create}));
  }
  // Receives exactly the slice.
  static Task<void> receive_all(Reactor& reactor, Socket socket, Slice into) {
    while (into.length > 0) {
      const auto count = static_cast<std::uint32_t>(must(co_await reactor.receive(socket, into)));
      CHECK(count > 0, "the peer has closed with {} bytes to come", into.length);
      into.offset += count;
      into.length -= count;
    }
  }
  struct Pair {
    Socket listener, client, server;
  };
  static Task<Pair> connected(Reactor& reactor) {
    Pair pair;
    pair.listener = must(co_await reactor.listen({"127.0.0.1", 0}));
    auto accepting = reactor.accept(pair.listener);
    pair.client = must(co_await reactor.connect(reactor.local_address(pair.listener)));
    pair.server = must(co_await accepting);
    co_return pair;
  }

 private:
  std::unique_ptr<ReactorHarness> harness_ = GetParam().make();
};

}  // namespace millrace
