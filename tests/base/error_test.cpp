#include "engine/base/error.h"

#include <gtest/gtest.h>
#include <set>
#include <string>

#include "engine/base/check.h"

namespace millrace {
namespace {

TEST(ErrorTest, EveryNumberUpTo100IsACodeWithItsOwnNameOrNothing) {
  std::set<std::string_view> names;
  int codes = 0;
  for (std::uint16_t number = 0; number < 100; ++number) {
    const auto code = error_code(number);
    if (!code) continue;
    ++codes;
    EXPECT_EQ(static_cast<std::uint16_t>(*code), number);
    EXPECT_TRUE(names.insert(name(*code)).second) << name(*code);
  }
  // 16 of the caller, 8 of the state of things, 7 of the machine: a new code needs its row in error.cpp.
  EXPECT_EQ(codes, 16 + 8 + 7);
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(ErrorTest, NumbersAndNamesThatTravelStayWhatTheyAre) {
  EXPECT_EQ(static_cast<int>(ErrorCode::unknown_topic), 2);
  EXPECT_EQ(static_cast<int>(ErrorCode::disk_full), 21);
  EXPECT_EQ(static_cast<int>(ErrorCode::sync_failed), 44);
  EXPECT_EQ(name(ErrorCode::disk_full), "disk_full");
  EXPECT_EQ(name(ErrorCode::unsupported), "unsupported");
}

TEST(ErrorTest, TheStateOfThingsIsRetryableAndTheCallersMistakesAreNot) {
  EXPECT_TRUE(retryable(ErrorCode::overloaded));
  EXPECT_TRUE(retryable(ErrorCode::disk_full));
  EXPECT_TRUE(retryable(ErrorCode::not_leader));
  EXPECT_FALSE(retryable(ErrorCode::invalid_batch));
  EXPECT_FALSE(retryable(ErrorCode::offset_out_of_range));
  EXPECT_FALSE(retryable(ErrorCode::sync_failed));
}

TEST(ErrorTest, WhatTheCallerAskedForIsToldFromTheStateOfThings) {
  EXPECT_TRUE(is_of_the_caller(ErrorCode::invalid_argument));
  EXPECT_TRUE(is_of_the_caller(ErrorCode::unknown_producer));
  EXPECT_FALSE(is_of_the_caller(ErrorCode::overloaded));
  EXPECT_FALSE(is_of_the_caller(ErrorCode::disk_full));
  EXPECT_FALSE(is_of_the_caller(ErrorCode::io_error));
}

TEST(ErrorTest, NumbersOffTheWireThatAreNoCodeGiveNothing) {
  EXPECT_FALSE(error_code(0));
  EXPECT_FALSE(error_code(17));
  EXPECT_FALSE(error_code(65535));
  EXPECT_FALSE(retryable(static_cast<ErrorCode>(9999)));
  EXPECT_EQ(name(static_cast<ErrorCode>(9999)), "unknown");
}

Result<int> half(int number) {
  if (number % 2 != 0) return fail(ErrorCode::invalid_argument, "{} is odd", number);
  return number / 2;
}

Result<int> quarter(int number) {
  TRY(const int once, half(number));
  TRY_VOID(half(once));
  TRY(const int twice, half(once));
  return twice;
}

TEST(ErrorTest, TryHandsTheFirstErrorUpAndTheValueDown) {
  EXPECT_EQ(quarter(12).value(), 3);
  const Result<int> failed = quarter(6);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(failed.error().message, "3 is odd");
}

TEST(CheckDeathTest, AFailedCheckStopsTheProcessWithConditionAndValues) {
  const int small = 3;
  CHECK(small < 4, "small={}", small);
  EXPECT_DEATH(CHECK(small > 4, "small={}", small),
               "CHECK failed: small > 4 \\(small=3\\) at .*error_test.cpp:");
  EXPECT_DEATH(CHECK(small > 5), "CHECK failed: small > 5 at ");
}

}  // namespace
}  // namespace millrace
