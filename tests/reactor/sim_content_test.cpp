// SimContent: sparse bytes against a plain string.
#include "engine/reactor/sim_content.h"

#include <gtest/gtest.h>
#include <string>

#include "engine/base/limits.h"
#include "engine/reactor/sim_random.h"
#include "tests/base/support.h"

namespace millrace {
namespace {

using test::bytes_of;

std::string text_of(const SimContent& content) {
  std::string bytes(content.size(), '?');
  EXPECT_EQ(content.read(0, std::as_writable_bytes(std::span(bytes))), bytes.size());
  return bytes;
}

TEST(SimContent, BehavesLikeAString) {
  SimRandom random(7);
  SimContent content, other;
  std::string expected, other_expected;
  for (int step = 0; step < 2000; ++step) {
    const std::uint64_t begin = random.below(20'000), length = random.between(1, 9'000);
    switch (random.below(5)) {
      case 0:
      case 1: {
        const std::string bytes(length, random.coin() ? '\0' : static_cast<char>('a' + step % 26));
        content.write(begin, bytes_of(bytes));
        expected.resize(std::max<std::size_t>(expected.size(), begin + length));
        expected.replace(begin, length, bytes);
        break;
      }
      case 2:
        if (random.below(10) != 0) break;
        content.resize(begin);
        expected.resize(begin);
        break;
      case 3:
        std::swap(content, other);
        std::swap(expected, other_expected);
        break;
      default: {
        content.copy_range(other.extract(begin, begin + length), begin, begin + length);
        expected.resize(std::max<std::size_t>(expected.size(), begin + length));
        std::string part(length, '\0');
        if (begin < other_expected.size()) part.replace(0, length, other_expected.substr(begin, length));
        part.resize(length);
        expected.replace(begin, length, part);
      }
    }
    ASSERT_EQ(text_of(content), expected) << "step " << step;
  }
}

TEST(SimContent, ZerosAreNotStored) {
  SimContent content;
  const std::string zeros(1_MiB, '\0');
  for (std::uint64_t at = 0; at < 64_MiB; at += zeros.size()) content.write(at, bytes_of(zeros));
  EXPECT_EQ(content.size(), 64_MiB);
  EXPECT_EQ(content.pages_stored(), 0U);
  content.write(10'000, bytes_of("x"));
  EXPECT_EQ(content.pages_stored(), 1U);
  content.write(8192, bytes_of(std::string(4096, '\0')));
  EXPECT_EQ(content.pages_stored(), 0U);
}

TEST(SimContent, CopiesShareNothingThatChanges) {
  SimContent content;
  content.write(0, bytes_of("one"));
  const SimContent copy = content;
  content.write(0, bytes_of("two"));
  EXPECT_EQ(text_of(copy), "one");
  EXPECT_EQ(text_of(content), "two");
}

}  // namespace
}  // namespace millrace
