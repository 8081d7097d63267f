// The estimators against sums written from the papers' equations, and their closed forms.
#include "reward/advantage.h"

#include <cmath>
#include <vector>

#include "base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder::reward {
namespace advantage_test {

using ::testing::Each;
using ::testing::ElementsAre;

std::vector<double> Random(Rng& rng, int64_t n) {
  std::vector<double> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(rng.NextGaussian());
  return values;
}

// delta_t = r_t + V_{t+1} - V_t, A_t = sum_k lambda^k delta_{t+k}: the sum itself.
double SlowGae(const std::vector<double>& r, const std::vector<double>& v, double lambda,
               size_t t) {
  double sum = 0;
  for (size_t u = t; u < r.size(); ++u) {
    const double next = u + 1 < r.size() ? v[u + 1] : 0;
    sum += std::pow(lambda, static_cast<double>(u - t)) * (r[u] + next - v[u]);
  }
  return sum;
}

TEST(Advantage, GroupEstimatorsAgreeWithTheirEquations) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, "advantage_test");
    const std::vector<double> rewards = Random(rng, rng.NextInt(2, 17));
    const auto n = static_cast<double>(rewards.size());
    double sum = 0, squares = 0;
    for (const double r : rewards) sum += r;
    for (const double r : rewards) squares += (r - sum / n) * (r - sum / n);
    const auto grpo = GroupNormalised(rewards);
    const auto dr_grpo = GroupCentred(rewards);
    const auto rloo = LeaveOneOut(rewards);
    for (size_t i = 0; i < rewards.size(); ++i) {
      EXPECT_NEAR(grpo[i], (rewards[i] - sum / n) / (std::sqrt(squares / n) + 1e-6), 1e-12);
      EXPECT_NEAR(dr_grpo[i], rewards[i] - sum / n, 1e-12);
      EXPECT_NEAR(rloo[i], rewards[i] - (sum - rewards[i]) / (n - 1), 1e-12);
    }
  }
}

TEST(Advantage, EqualRewardsAndGroupsOfOneGiveExactlyZero) {
  for (const auto estimate : {GroupNormalised, GroupCentred, LeaveOneOut}) {
    EXPECT_THAT(estimate(std::vector<double>(7, 0.3)), Each(0.0));
    EXPECT_THAT(estimate(std::vector<double>{0.3}), ElementsAre(0.0));
    EXPECT_TRUE(estimate(std::vector<double>{}).empty());
  }
}

TEST(Advantage, GaeAgreesWithItsSum) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, "gae_test");
    const int64_t n = rng.NextInt(1, 40);
    const std::vector<double> rewards = Random(rng, n), values = Random(rng, n);
    const double lambda = rng.NextUniform();
    const std::vector<double> advantages = Gae(rewards, values, lambda);
    for (size_t t = 0; t < rewards.size(); ++t) {
      EXPECT_NEAR(advantages[t], SlowGae(rewards, values, lambda, t), 1e-10) << "token " << t;
    }
    const std::vector<double> to_go = RewardToGo(rewards);
    const std::vector<double> whole = Gae(rewards, values, 1), td = Gae(rewards, values, 0);
    for (size_t t = 0; t < rewards.size(); ++t) {
      EXPECT_NEAR(whole[t], to_go[t] - values[t], 1e-10) << "lambda 1 is return - V";
      const double next = t + 1 < rewards.size() ? values[t + 1] : 0;
      EXPECT_NEAR(td[t], rewards[t] + next - values[t], 1e-12) << "lambda 0 is the TD error";
    }
  }
}

TEST(Advantage, LengthAdaptiveLambda) {
  EXPECT_EQ(LengthAdaptiveLambda(1, 0.05), 0);
  EXPECT_EQ(LengthAdaptiveLambda(20, 0.05), 0);
  EXPECT_NEAR(LengthAdaptiveLambda(40, 0.05), 0.5, 1e-12);
  EXPECT_NEAR(LengthAdaptiveLambda(400, 0.05), 0.95, 1e-12);
  EXPECT_NEAR(LengthAdaptiveLambda(10000, 0.05), 0.998, 1e-12);
  EXPECT_LT(LengthAdaptiveLambda(int64_t{1} << 62, 1e6), 1);
  // The weights then add up to alpha * l.
  EXPECT_NEAR(1 / (1 - LengthAdaptiveLambda(4000, 0.05)), 0.05 * 4000, 1e-6);
}

TEST(Advantage, WhitenedIsMeanZeroDeviationOne) {
  Rng rng(3, "whiten");
  std::vector<double> values = Random(rng, 100);
  for (double& value : values) value = 5 * value + 3;
  Whiten(absl::MakeSpan(values));
  double sum = 0, squares = 0;
  for (const double value : values) sum += value, squares += value * value;
  EXPECT_NEAR(sum, 0, 1e-10);
  EXPECT_NEAR(squares / 100, 1, 1e-6);
  std::vector<double> equal(5, 0.1);
  Whiten(absl::MakeSpan(equal));
  EXPECT_THAT(equal, Each(0.0));
}

TEST(Advantage, ExplainedVariance) {
  const std::vector<double> returns = {0, 1, 0, 1};
  EXPECT_EQ(ExplainedVariance(returns, returns), 1);
  EXPECT_EQ(ExplainedVariance(std::vector<double>{5, 5, 5, 5}, returns), 0);
  EXPECT_DOUBLE_EQ(ExplainedVariance(std::vector<double>{1, 0, 1, 0}, returns), -3);
  EXPECT_EQ(ExplainedVariance(std::vector<double>{1, 2, 3, 4}, std::vector<double>(4, 1.0)), 0);
}

}  // namespace advantage_test
}  // namespace ponder::reward
