// The composed objective against a float64 loop over its definition, its gradients against finite
// differences of that, and that it is a sum over micro-batches.
#include "learner/objective.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "base/philox.h"
#include "gtest/gtest.h"

namespace ponder::learner {
namespace objective_test {

struct Case {
  PolicyBatch batch;
  std::vector<int64_t> all;
  SequencePack pack;
  std::vector<float> logprob, entropy;
};

Case RandomCase(uint64_t seed) {
  Rng rng(seed, "objective_test");
  Case random;
  for (int64_t s = 0; s < 7; ++s) {
    Rollout rollout;
    rollout.prompt_tokens.assign(rng.NextInt(1, 4), 1);
    for (int64_t t = s == 0 ? 1 : rng.NextInt(1, 12); t > 0; --t) {
      rollout.tokens.push_back(2);
      rollout.logprobs.push_back(static_cast<float>(-3 * rng.NextUniform()));
    }
    rollout.segments = {{0, 0}};
    random.batch.Append(rollout, {0, 0, s % 2 == 0, s != 3});
    random.all.push_back(s);
  }
  for (size_t t = 0; t < random.batch.tokens.size(); ++t) {
    const float behaviour = random.batch.behaviour_logprobs[t];
    random.batch.advantages[t] = static_cast<float>(rng.NextGaussian());
    random.batch.proximal_logprobs.push_back(behaviour + static_cast<float>(rng.NextGaussian()));
    random.batch.reference_logprobs.push_back(behaviour + static_cast<float>(rng.NextGaussian()));
  }
  random.pack = PackSequences(random.batch, random.all);
  for (const int64_t place : random.pack.places) {
    random.logprob.push_back(random.batch.proximal_logprobs[place] +
                             static_cast<float>(0.3 * rng.NextGaussian()));
    random.entropy.push_back(static_cast<float>(rng.NextUniform()));
  }
  return random;
}

ObjectiveOptions Everything(Aggregation aggregation) {
  ObjectiveOptions options;
  options.aggregation = aggregation;
  options.constant_length = 20;
  options.kl_coef = 0.3;
  options.entropy_coef = 0.05;
  options.positive_nll_coef = 0.1;
  options.correction = {RatioCorrection::Kind::kTruncate, 0.5, 2};
  return options;
}

// Decoupled PPO (arXiv 2505.24298) with truncated weights and every regulariser.
double Slow(const Case& c, Aggregation aggregation, const std::vector<double>& logprob) {
  double tokens = 0, correct_tokens = 0;
  for (int64_t s = 0; s < 7; ++s) {
    if (s == 3) continue;
    tokens += static_cast<double>(c.batch.response_length(s));
    if (s % 2 == 0) correct_tokens += static_cast<double>(c.batch.response_length(s));
  }
  double loss = 0, nll = 0;
  size_t n = 0;
  for (int64_t s = 0; s < 7; ++s) {
    for (int64_t t = c.batch.response_start(s); t < c.batch.starts[s + 1]; ++t, ++n) {
      if (s == 3) continue;
      const double prox = c.batch.proximal_logprobs[t];
      const double share = aggregation == Aggregation::kTokenMean ? 1 / tokens
                           : aggregation == Aggregation::kSequenceMean
                               ? 1.0 / 6 / static_cast<double>(c.batch.response_length(s))
                               : 1.0 / 6 / 20;
      const double u = std::exp(logprob[n] - prox);
      const double clipped = u < 0.8 ? 0.8 : u > 1.28 ? 1.28 : u;
      const double rho = std::min(std::exp(prox - c.batch.behaviour_logprobs[t]), 2.0);
      const double a = c.batch.advantages[t];
      loss -= share * rho * std::min(u * a, clipped * a);
      const double x = logprob[n] - c.batch.reference_logprobs[t];
      loss += 0.3 * share * (std::exp(-x) - 1 + x);
      loss -= 0.05 * share * c.entropy[n];
      if (s % 2 == 0) nll -= logprob[n] / correct_tokens;
    }
  }
  return loss + 0.1 * nll;
}

class Objectives : public testing::TestWithParam<Aggregation> {};

TEST_P(Objectives, AgreeWithTheDefinitionAndItsSlope) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Case c = RandomCase(seed);
    PolicyStats stats;
    const ObjectiveGradient gradient =
        PolicyObjective(Everything(GetParam()), c.batch, c.all, c.pack, c.logprob, c.entropy,
                        CountDenominators(c.batch, c.all), &stats);
    const std::vector<double> logprob(c.logprob.begin(), c.logprob.end());
    const double expected = Slow(c, GetParam(), logprob);
    EXPECT_NEAR(stats.loss, expected, 1e-6 * (1 + std::abs(expected)));
    for (size_t n = 0; n < logprob.size(); ++n) {
      std::vector<double> up = logprob, down = logprob;
      up[n] += 1e-6;
      down[n] -= 1e-6;
      const double slope = (Slow(c, GetParam(), up) - Slow(c, GetParam(), down)) / 2e-6;
      EXPECT_NEAR(gradient.logprob[n], slope, 1e-6 * std::abs(slope) + 1e-7) << "token " << n;
    }
    ASSERT_EQ(gradient.entropy.size(), c.entropy.size());
    if (GetParam() == Aggregation::kConstantLength) {
      EXPECT_NEAR(gradient.entropy[0], -0.05 / 6 / 20, 1e-9);
    }
  }
}

TEST_P(Objectives, SumOverMicroBatchesBitForBit) {
  const Case c = RandomCase(21);
  const Denominators denominators = CountDenominators(c.batch, c.all);
  PolicyStats whole, parts;
  const ObjectiveGradient all = PolicyObjective(Everything(GetParam()), c.batch, c.all, c.pack,
                                                c.logprob, c.entropy, denominators, &whole);
  size_t done = 0;
  for (const std::vector<int64_t>& sequences :
       std::vector<std::vector<int64_t>>{{0, 1}, {2}, {}, {3}, {4, 5, 6}}) {
    const SequencePack pack = PackSequences(c.batch, sequences);
    const auto of = [&](const std::vector<float>& values) {
      return absl::MakeConstSpan(values).subspan(done, pack.places.size());
    };
    const ObjectiveGradient part =
        PolicyObjective(Everything(GetParam()), c.batch, sequences, pack, of(c.logprob),
                        of(c.entropy), denominators, &parts);
    for (size_t i = 0; i < part.logprob.size(); ++i) {
      EXPECT_EQ(part.logprob[i], all.logprob[done + i]);
      EXPECT_EQ(part.entropy[i], all.entropy[done + i]);
    }
    done += pack.places.size();
  }
  EXPECT_EQ(done, c.logprob.size());
  EXPECT_NEAR(parts.loss, whole.loss, 1e-12);
  EXPECT_EQ(parts.clipped, whole.clipped);
  EXPECT_EQ(parts.corrected, whole.corrected);
  EXPECT_EQ(parts.tokens, whole.tokens);
}

INSTANTIATE_TEST_SUITE_P(Aggregations, Objectives,
                         testing::Values(Aggregation::kTokenMean, Aggregation::kSequenceMean,
                                         Aggregation::kConstantLength));

TEST(Objective, MaskedResponsesCountNowhere) {
  Case c = RandomCase(5);
  PolicyStats before, after;
  const auto run = [&](PolicyStats* stats) {
    return PolicyObjective(Everything(Aggregation::kTokenMean), c.batch, c.all, c.pack, c.logprob,
                           c.entropy, CountDenominators(c.batch, c.all), stats);
  };
  const ObjectiveGradient gradient = run(&before);
  for (int64_t n = c.pack.responses[3]; n < c.pack.responses[4]; ++n) {
    EXPECT_EQ(gradient.logprob[n], 0);
    c.logprob[n] -= 5;
    c.batch.advantages[c.pack.places[n]] = 100;
  }
  run(&after);
  EXPECT_EQ(before.loss, after.loss);
}

TEST(Objective, NoCorrectResponseMeansNoPositiveTerm) {
  Case c = RandomCase(6);
  std::fill(c.batch.correct.begin(), c.batch.correct.end(), 0);
  PolicyStats stats;
  ObjectiveOptions options;
  options.positive_nll_coef = 1;
  const auto gradient = PolicyObjective(options, c.batch, c.all, c.pack, c.logprob, c.entropy,
                                        CountDenominators(c.batch, c.all), &stats);
  EXPECT_EQ(stats.positive_nll, 0);
  EXPECT_TRUE(std::isfinite(stats.loss));
  for (const float g : gradient.logprob) EXPECT_TRUE(std::isfinite(g));
}

TEST(Objective, NllIsTheMeanOverTokens) {
  const Case c = RandomCase(8);
  PolicyStats stats;
  Denominators denominators;
  denominators.tokens = static_cast<double>(c.logprob.size());
  const auto gradient = NllObjective(c.logprob, denominators, &stats);
  const double sum = std::accumulate(c.logprob.begin(), c.logprob.end(), 0.0);
  EXPECT_NEAR(stats.loss, -sum / denominators.tokens, 1e-6);
  EXPECT_FLOAT_EQ(gradient.logprob[0], static_cast<float>(-1 / denominators.tokens));
}

}  // namespace objective_test
}  // namespace ponder::learner
