// The router against the formula, its gradient against finite differences; the permutation against
// its definition.
#include "moe/kernels/routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "tests/moe/kernels/random_floats.h"

namespace ponder::kernels {
namespace routing_test {

std::vector<double> PlainScores(const RouterOptions& options, const std::vector<double>& logits) {
  std::vector<double> scores;
  double sum = 0;
  for (const double x : logits) {
    scores.push_back(options.scoring_func == ScoringFunc::kSigmoid ? 1 / (1 + std::exp(-x))
                                                                   : std::exp(x));
    sum += scores.back();
  }
  if (options.scoring_func == ScoringFunc::kSoftmax) {
    for (double& s : scores) s /= sum;
  }
  return scores;
}

// Weights of given experts.
std::vector<double> PlainWeights(const RouterOptions& options, const std::vector<double>& logits,
                                 const int32_t* experts) {
  const std::vector<double> scores = PlainScores(options, logits);
  std::vector<double> weights;
  for (int64_t k = 0; k < options.num_experts_per_tok; ++k) weights.push_back(scores[experts[k]]);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& w : weights) {
    w *= options.routed_scaling_factor / (options.norm_topk_prob ? sum : 1.0);
  }
  return weights;
}

class Router : public testing::TestWithParam<std::tuple<ScoringFunc, bool, bool>> {
 protected:
  RouterOptions Options() const {
    RouterOptions options;
    options.num_experts = 21;
    options.num_experts_per_tok = 4;
    options.scoring_func = std::get<0>(GetParam());
    options.norm_topk_prob = std::get<1>(GetParam());
    options.routed_scaling_factor = 2.5f;
    return options;
  }
  bool Biased() const { return std::get<2>(GetParam()); }
};

TEST_P(Router, ChoosesTheBestAndWeighsThem) {
  const RouterOptions options = Options();
  const int64_t t = 400, e = options.num_experts, k = options.num_experts_per_tok;
  const std::vector<float> logits = RandomFloats(t * e, 1), bias = RandomFloats(e, 2);
  const float* selection_bias = Biased() ? bias.data() : nullptr;
  ThreadPool pool(2);
  std::vector<int32_t> experts(t * k);
  std::vector<float> weights(t * k);
  RouterForward(pool, options, logits.data(), t, selection_bias, experts.data(), weights.data());
  for (int64_t i = 0; i < t; ++i) {
    const std::vector<double> row(&logits[i * e], &logits[i * e] + e);
    std::vector<double> keys = PlainScores(options, row);
    if (Biased()) {
      for (int64_t j = 0; j < e; ++j) keys[j] += bias[j];
    }
    std::vector<int32_t> best(e);
    std::iota(best.begin(), best.end(), 0);
    std::stable_sort(best.begin(), best.end(), [&](int a, int b) { return keys[a] > keys[b]; });
    const std::vector<double> expected = PlainWeights(options, row, &experts[i * k]);
    for (int64_t s = 0; s < k; ++s) {
      EXPECT_NEAR(keys[experts[i * k + s]], keys[best[s]], 1e-6);
      EXPECT_NEAR(weights[i * k + s], expected[s], 1e-5);
    }
    std::vector<int32_t> experts_alone(k);
    std::vector<float> weights_alone(k);
    RouterForward(pool, options, &logits[i * e], 1, selection_bias, experts_alone.data(),
                  weights_alone.data());
    EXPECT_TRUE(std::equal(experts_alone.begin(), experts_alone.end(), &experts[i * k]));
    EXPECT_TRUE(SameBits(weights_alone.data(), &weights[i * k], k));
  }
}

TEST_P(Router, BackwardIsTheSlopeOfTheWeights) {
  const RouterOptions options = Options();
  const int64_t t = 3, e = options.num_experts, k = options.num_experts_per_tok;
  const std::vector<float> logits = RandomFloats(t * e, 3), dweights = RandomFloats(t * k, 4);
  ThreadPool pool(2);
  std::vector<int32_t> experts(t * k);
  std::vector<float> weights(t * k), dlogits(t * e);
  RouterForward(pool, options, logits.data(), t, nullptr, experts.data(), weights.data());
  RouterBackward(pool, options, logits.data(), t, experts.data(), dweights.data(), dlogits.data());
  for (int64_t i = 0; i < t; ++i) {
    const auto loss = [&](const std::vector<double>& row) {
      const std::vector<double> w = PlainWeights(options, row, &experts[i * k]);
      double sum = 0;
      for (int64_t s = 0; s < k; ++s) sum += w[s] * dweights[i * k + s];
      return sum;
    };
    for (int64_t j = 0; j < e; ++j) {
      std::vector<double> row(&logits[i * e], &logits[i * e] + e);
      row[j] += 1e-5;
      const double above = loss(row);
      row[j] -= 2e-5;
      EXPECT_NEAR(dlogits[i * e + j], (above - loss(row)) / 2e-5, 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Router,
                         testing::Combine(testing::Values(ScoringFunc::kSoftmax,
                                                          ScoringFunc::kSigmoid),
                                          testing::Bool(), testing::Bool()));

TEST(RouterForward, GivesTiesToTheLowerIndex) {
  RouterOptions options;
  options.num_experts = 40;
  options.num_experts_per_tok = 3;
  const std::vector<float> logits(40, 1);
  ThreadPool pool(1);
  std::vector<int32_t> experts(3);
  std::vector<float> weights(3);
  RouterForward(pool, options, logits.data(), 1, nullptr, experts.data(), weights.data());
  EXPECT_EQ(experts, (std::vector<int32_t>{0, 1, 2}));
  EXPECT_NEAR(weights[2], 1.0 / 3, 1e-6);
}

TEST(SortByExpert, KeepsTokensInOrderWithinAnExpert) {
  const std::vector<int32_t> experts = {3, 0, 0, 3, 2, 0};  // three tokens, two slots
  ExpertOrder order;
  SortByExpert(experts.data(), 3, 2, 5, &order);
  EXPECT_EQ(order.offsets, (std::vector<int64_t>{0, 3, 3, 4, 6, 6}));
  EXPECT_EQ(order.row_of, (std::vector<int32_t>{4, 0, 1, 5, 3, 2}));
  EXPECT_EQ(order.token_of, (std::vector<int32_t>{0, 1, 2, 2, 0, 1}));
}

TEST(CombineRows, UndoesGatherRowsUpToTheWeights) {
  const int64_t t = 300, k = 2, h = 70;
  const std::vector<float> x = RandomFloats(t * h, 5), weights = RandomFloats(t * k, 6);
  std::vector<int32_t> experts(t * k);
  for (int64_t i = 0; i < t * k; ++i) experts[i] = static_cast<int32_t>(i * 7 % 5);
  ExpertOrder order;
  SortByExpert(experts.data(), t, k, 5, &order);
  ThreadPool pool(2);
  std::vector<float> rows(t * k * h), y(t * h, NAN);
  GatherRows(pool, x.data(), order.token_of.data(), t * k, h, rows.data());
  CombineRows(pool, rows.data(), order.row_of.data(), weights.data(), t, k, h, y.data());
  for (int64_t i = 0; i < t; ++i) {
    for (int64_t j = 0; j < h; ++j) {
      const double sum = double{weights[i * k]} + weights[i * k + 1];
      ASSERT_NEAR(y[i * h + j], sum * x[i * h + j], 1e-6);
    }
  }
}

}  // namespace routing_test
}  // namespace ponder::kernels
