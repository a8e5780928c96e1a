#include "engine/base/histogram.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace millrace {
namespace {

TEST(HistogramTest, AnEmptyOneSaysZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.percentile(50), Duration(0));
  EXPECT_EQ(histogram.max(), Duration(0));
}

TEST(HistogramTest, OneValueIsEveryPercentile) {
  for (const Duration::rep ns : {0L, 1L, 15L, 16L, 17L, 1'000L, 123'456'789L, Duration::max().count()}) {
    Histogram histogram;
    histogram.record(Duration(ns));
    for (const double percent : {0.0, 50.0, 99.99, 100.0})
      EXPECT_EQ(histogram.percentile(percent), Duration(ns));
    EXPECT_EQ(histogram.max(), Duration(ns));
  }
}

TEST(HistogramTest, PercentilesAreNeverBelowTheTrueOneAndAtMostASixteenthAbove) {
  std::mt19937_64 random(3);
  Histogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::int64_t>(random() >> (1 + random() % 63)));
    histogram.record(Duration(values.back()));
  }
  std::ranges::sort(values);
  for (const double percent : {0.1, 1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(values.size())));
    const std::int64_t truth = values[rank - 1];
    const std::int64_t measured = histogram.percentile(percent).count();
    EXPECT_GE(measured, truth) << percent;
    EXPECT_LE(measured - truth, truth / 16) << percent;
  }
  EXPECT_EQ(histogram.percentile(100).count(), values.back());
}

TEST(HistogramTest, MergingIsTheSameAsRecordingIntoOne) {
  std::mt19937_64 random(5);
  Histogram left;
  Histogram right;
  Histogram both;
  for (int i = 0; i < 1'000; ++i) {
    const Duration value(static_cast<std::int64_t>(random() % 1'000'000));
    (i % 3 == 0 ? left : right).record(value);
    both.record(value);
  }
  left.merge(right);
  EXPECT_EQ(left.count(), both.count());
  EXPECT_EQ(left.sum(), both.sum());
  EXPECT_EQ(left.max(), both.max());
  for (double percent = 0; percent <= 100; percent += 0.5)
    EXPECT_EQ(left.percentile(percent), both.percentile(percent));
  left.reset();
  EXPECT_EQ(left.count(), 0u);
  EXPECT_EQ(left.percentile(99), Duration(0));
}

TEST(HistogramTest, AClockThatWentBackCountsAsZero) {
  Histogram histogram;
  histogram.record(Duration(-5));
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.max(), Duration(0));
}

}  // namespace
}  // namespace millrace
