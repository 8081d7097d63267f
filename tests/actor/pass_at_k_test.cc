#include "actor/pass_at_k.h"

#include <cmath>

#include "base/philox.h"
#include "gtest/gtest.h"

namespace ponder::actor {
namespace pass_at_k_test {

// The share of all k-subsets of n answers, the first c of which are correct, that hold a correct
// one.
double CountSubsets(int n, int c, int k) {
  int64_t subsets = 0, passing = 0;
  for (uint32_t mask = 0; mask < (1u << n); ++mask) {
    if (__builtin_popcount(mask) != k) continue;
    ++subsets;
    passing += (mask & ((1u << c) - 1)) != 0;
  }
  return static_cast<double>(passing) / static_cast<double>(subsets);
}

TEST(PassAtK, EqualsCountingSubsets) {
  for (int n = 1; n <= 10; ++n) {
    for (int c = 0; c <= n; ++c) {
      for (int k = 1; k <= n; ++k) {
        EXPECT_NEAR(PassAtK(n, c, k), CountSubsets(n, c, k), 1e-12) << n << " " << c << " " << k;
      }
    }
  }
}

TEST(PassAtK, StaysExactForManySamples) {
  EXPECT_NEAR(PassAtK(10000, 1, 100), 0.01, 1e-12);
  EXPECT_EQ(PassAtK(10000, 0, 10000), 0);
  EXPECT_EQ(PassAtK(10000, 1, 10000), 1);
}

TEST(WilsonInterval, KnownValues) {
  // At a mean of 0 the upper end is z^2 / (n + z^2).
  EXPECT_NEAR(WilsonInterval(0.5, 100).low, 0.4038315, 1e-6);
  EXPECT_NEAR(WilsonInterval(0.5, 100).high, 0.5961685, 1e-6);
  EXPECT_NEAR(WilsonInterval(0.0, 10).high, 0.2775328, 1e-6);
  for (int64_t n = 1; n < 300; ++n) {
    EXPECT_EQ(WilsonInterval(0, n).low, 0) << n;
    EXPECT_EQ(WilsonInterval(1, n).high, 1) << n;
  }
  EXPECT_NEAR(WilsonInterval(1.0, 10).low, 1 - 0.2775328, 1e-6);
  EXPECT_EQ(WilsonInterval(0, 0).low, 0);
  EXPECT_EQ(WilsonInterval(0, 0).high, 1);
}

TEST(WilsonInterval, CoversTheTruthNineteenTimesInTwenty) {
  Rng rng(3, "coverage");  // seed 3
  const double truth = 0.3;
  int covered = 0;
  constexpr int kTrials = 4000, kPrompts = 60;
  for (int trial = 0; trial < kTrials; ++trial) {
    int correct = 0;
    for (int i = 0; i < kPrompts; ++i) correct += rng.NextUniform() < truth;
    const Interval interval = WilsonInterval(static_cast<double>(correct) / kPrompts, kPrompts);
    covered += interval.low <= truth && truth <= interval.high;
  }
  EXPECT_NEAR(static_cast<double>(covered) / kTrials, 0.95, 0.02);
}

}  // namespace pass_at_k_test
}  // namespace ponder::actor
