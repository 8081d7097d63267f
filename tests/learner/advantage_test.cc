// ComputeAdvantages on random batches against loops over the definition of each estimator.
#include "learner/advantage.h"

#include <cmath>
#include <map>
#include <vector>

#include "base/philox.h"
#include "gtest/gtest.h"
#include "reward/advantage.h"

namespace ponder::learner {
namespace advantage_test {

PolicyBatch RandomBatch(uint64_t seed) {
  Rng rng(seed, "learner_advantage_test");
  PolicyBatch batch;
  for (int64_t s = 0; s < 12; ++s) {
    Rollout rollout;
    rollout.prompt_tokens.assign(rng.NextInt(1, 4), 1);
    // The first responses have one token.
    for (int64_t t = s < 2 ? 1 : rng.NextInt(1, 30); t > 0; --t) {
      rollout.tokens.push_back(2);
      rollout.logprobs.push_back(static_cast<float>(-rng.NextUniform()));
    }
    rollout.segments = {{0, 0}};
    batch.Append(rollout, {rng.NextGaussian(), s % 3, s % 2 == 0});
  }
  for (auto* column : {&batch.reference_logprobs, &batch.values}) {
    for (size_t t = 0; t < batch.tokens.size(); ++t)
      column->push_back(static_cast<float>(-rng.NextUniform()));
  }
  return batch;
}

// r_t = -beta (log pi - log ref) and the reward at the end.
std::vector<double> Rewards(const PolicyBatch& batch, int64_t s, double beta) {
  std::vector<double> rewards;
  for (int64_t t = batch.response_start(s); t < batch.starts[s + 1]; ++t) {
    rewards.push_back(-beta * (double{batch.behaviour_logprobs[t]} - batch.reference_logprobs[t]));
  }
  rewards.back() += batch.rewards[s];
  return rewards;
}

double Sum(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

void ExpectResponse(const PolicyBatch& batch, int64_t s, const std::vector<double>& expected) {
  for (int64_t t = batch.starts[s]; t < batch.response_start(s); ++t)
    EXPECT_EQ(batch.advantages[t], 0) << "a prompt token";
  for (size_t t = 0; t < expected.size(); ++t) {
    EXPECT_NEAR(batch.advantages[batch.response_start(s) + t], expected[t],
                1e-6 * (1 + std::abs(expected[t])))
        << "sequence " << s << " token " << t;
  }
}

TEST(ComputeAdvantages, GroupEstimatorsShareOutTheSummedReward) {
  using Estimate = std::vector<double> (*)(absl::Span<const double>);
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    for (const double beta : {0.0, 0.3}) {
      for (const auto& [name, estimate] :
           std::map<std::string, Estimate>{{"grpo", reward::GroupNormalised},
                                           {"dr_grpo", reward::GroupCentred},
                                           {"rloo", reward::LeaveOneOut}}) {
        PolicyBatch batch = RandomBatch(seed);
        AdvantageOptions options;
        options.estimator = name;
        options.kl_coef = beta;
        ComputeAdvantages(options, &batch);
        for (int64_t group = 0; group < 3; ++group) {
          std::vector<double> sums;
          for (int64_t s = group; s < 12; s += 3) sums.push_back(Sum(Rewards(batch, s, beta)));
          const std::vector<double> expected = estimate(sums);
          for (int64_t s = group, i = 0; s < 12; s += 3, ++i) {
            ExpectResponse(batch, s, std::vector<double>(batch.response_length(s), expected[i]));
          }
        }
      }
    }
  }
}

TEST(ComputeAdvantages, ReinforcePlusPlusNormalisesReturnsOverTheBatch) {
  PolicyBatch batch = RandomBatch(3);
  AdvantageOptions options;
  options.estimator = "return";
  options.kl_coef = 0.2;
  options.whiten = true;
  ComputeAdvantages(options, &batch);
  std::vector<double> all;
  for (int64_t s = 0; s < 12; ++s) {
    const auto to_go = reward::RewardToGo(Rewards(batch, s, 0.2));
    all.insert(all.end(), to_go.begin(), to_go.end());
  }
  const auto n = static_cast<double>(all.size());
  const double mean = Sum(all) / n;
  double squares = 0;
  for (const double x : all) squares += (x - mean) * (x - mean);
  size_t next = 0;
  for (int64_t s = 0; s < 12; ++s) {
    std::vector<double> expected;
    for (int64_t t = 0; t < batch.response_length(s); ++t)
      expected.push_back((all[next++] - mean) / std::sqrt(squares / n));
    ExpectResponse(batch, s, expected);
  }
}

TEST(ComputeAdvantages, GaeIsDecoupledAndLengthAdaptive) {
  for (const double alpha : {0.0, 0.2}) {
    PolicyBatch batch = RandomBatch(4);
    AdvantageOptions options;
    options.estimator = "gae";
    options.gae_lambda = 0.7;
    options.length_alpha = alpha;
    options.value_lambda = 1;
    ComputeAdvantages(options, &batch);
    for (int64_t s = 0; s < 12; ++s) {
      const int64_t first = batch.response_start(s), length = batch.response_length(s);
      const std::vector<double> values(batch.values.begin() + first,
                                       batch.values.begin() + first + length);
      const double lambda =
          alpha == 0 ? 0.7 : std::max(0.0, 1 - 1 / (alpha * static_cast<double>(length)));
      ExpectResponse(batch, s, reward::Gae(Rewards(batch, s, 0), values, lambda));
      for (int64_t t = first; t < batch.starts[s + 1]; ++t) {
        EXPECT_NEAR(batch.returns[t], batch.rewards[s], 1e-5)
            << "with lambda 1 the value model aims at the return itself";
      }
    }
  }
}

TEST(KlEstimate, SlopesAgreeWithFiniteDifferences) {
  for (const auto estimator : {KlEstimator::kK1, KlEstimator::kK2, KlEstimator::kK3}) {
    for (const double x : {-1.5, -0.1, 0.0, 0.2, 2.0}) {
      const double h = 1e-6;
      const double slope =
          (KlEstimate(estimator, x + h, 0.3) - KlEstimate(estimator, x - h, 0.3)) / (2 * h);
      EXPECT_NEAR(KlSlope(estimator, x, 0.3), slope, 1e-8);
    }
    EXPECT_EQ(KlEstimate(estimator, -1.25, -1.25), 0);
  }
  EXPECT_NEAR(KlEstimate(KlEstimator::kK3, -1, -3), std::exp(-2.0) - 1 + 2, 1e-12);
  EXPECT_NEAR(KlEstimate(KlEstimator::kK2, -1, -3), 2, 1e-12);
}

}  // namespace advantage_test
}  // namespace ponder::learner
