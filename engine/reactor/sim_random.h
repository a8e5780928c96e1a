// SimRandom: the one source of chance in a simulated world. The generator is our own (xoshiro256**, Blackman
// and Vigna 2018, seeded by splitmix64) and so is every distribution, because those of <random> differ
// between libraries, and a seed has to mean the same run everywhere.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "engine/base/check.h"
#include "engine/base/time.h"

namespace millrace {

class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) {
    for (auto& word : state_) {
      std::uint64_t z = (seed += 0x9e3779b97f4a7c15);
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      word = z ^ (z >> 31);
    }
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  // In [0, bound); the bias of the remainder, below bound / 2^64, does not matter here.
  std::uint64_t below(std::uint64_t bound) {
    CHECK(bound > 0);
    return next() % bound;
  }
  // In [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  Duration between(Duration low, Duration high) {
    return low +
           Duration(static_cast<Duration::rep>(below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }
  bool coin() { return (next() >> 63) != 0; }
  // True `parts` times in a million; draws nothing at 0, so that switching a fault off leaves the rest of a
  // run as it was.
  bool chance(std::uint32_t parts_per_million) {
    return parts_per_million > 0 && below(1'000'000) < parts_per_million;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace millrace
