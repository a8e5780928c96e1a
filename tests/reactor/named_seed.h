// A story proves that it would notice a bug by a bug put back and the number of a seed whose life it spoils.
//
// Which seed that is depends on every choice that a life makes, so a change of the code may move it. Then
//
//   MILLRACE_FIND_SEEDS=1 ctest -V -R NAME
//
// searches the first seeds and prints the one to put into the table. That none is found is no matter of the
// table: the story has become blind.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

namespace millrace::test {

using LiveWithSeed = std::function<void(std::uint64_t seed)>;

// Lives it without letting its failures count; whether there were any.
inline bool notices(const LiveWithSeed& live, std::uint64_t seed) {
  testing::TestPartResultArray results;
  {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &results);
    live(seed);
  }
  for (int i = 0; i < results.size(); ++i) {
    if (results.GetTestPartResult(i).failed()) return true;
  }
  return false;
}

// `bug` is what `live` puts back, for the message.
inline void expect_noticed(const char* bug, std::uint64_t seed, const LiveWithSeed& live) {
  constexpr std::uint64_t k_seeds_to_search = 1000;
  if (std::getenv("MILLRACE_FIND_SEEDS") == nullptr) {
    EXPECT_TRUE(notices(live, seed)) << "seed " << seed << " does not notice " << bug
                                     << "; MILLRACE_FIND_SEEDS=1 searches one that does";
    return;
  }
  std::uint64_t found = 1;
  while (found <= k_seeds_to_search && !notices(live, found)) ++found;
  ASSERT_LE(found, k_seeds_to_search) << "nothing notices " << bug;
  std::printf("%s: seed %llu notices it\n", bug, static_cast<unsigned long long>(found));
}

}  // namespace millrace::test
