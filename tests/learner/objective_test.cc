// The policy loss against a float64 loop written from DAPO's equation 8, and its gradient against
// finite differences.
#include "learner/objective.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "base/philox.h"
#include "gtest/gtest.h"

namespace ponder::learner {
namespace {

struct Case {
  std::vector<float> logprob, behaviour, advantage;
};

Case RandomCase(uint64_t seed, int64_t n) {
  Rng rng(seed, "objective_test");
  Case random;
  for (int64_t i = 0; i < n; ++i) {
    random.behaviour.push_back(static_cast<float>(-3 * rng.NextUniform()));
    random.logprob.push_back(random.behaviour.back() +
                             static_cast<float>(rng.NextGaussian() * 0.3));
    random.advantage.push_back(static_cast<float>(rng.NextGaussian()));
  }
  return random;
}

double SlowLoss(const std::vector<double>& logprob, const Case& c, double denominator, double low,
                double high) {
  double sum = 0;
  for (size_t t = 0; t < logprob.size(); ++t) {
    const double r = std::exp(logprob[t] - c.behaviour[t]);
    const double clipped = r < 1 - low ? 1 - low : r > 1 + high ? 1 + high : r;
    sum += std::min(r * c.advantage[t], clipped * c.advantage[t]);
  }
  return -sum / denominator;
}

at::Tensor ToTensor(const std::vector<float>& values) { return torch::tensor(values); }

TEST(PolicyLoss, AgreesWithTheEquation) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Case c = RandomCase(seed, 37);
    PolicyStats stats;
    const at::Tensor loss = PolicyLoss(ToTensor(c.logprob), ToTensor(c.behaviour),
                                       ToTensor(c.advantage), 91, {0.2, 0.28}, &stats);
    const std::vector<double> logprob(c.logprob.begin(), c.logprob.end());
    EXPECT_NEAR(loss.item<double>(), SlowLoss(logprob, c, 91, 0.2, 0.28), 1e-6);
    EXPECT_NEAR(stats.loss, loss.item<double>(), 1e-9);
    EXPECT_EQ(stats.tokens, 37);
    double kl = 0, clipped = 0;
    for (size_t t = 0; t < logprob.size(); ++t) {
      const double log_ratio = logprob[t] - c.behaviour[t], r = std::exp(log_ratio);
      kl += r - 1 - log_ratio;
      clipped += (c.advantage[t] > 0 && r > 1.28) || (c.advantage[t] < 0 && r < 0.8);
    }
    EXPECT_NEAR(stats.kl, kl, 1e-4);
    EXPECT_EQ(stats.clipped, clipped);
  }
}

TEST(PolicyLoss, GradientAgreesWithFiniteDifferences) {
  const Case c = RandomCase(7, 25);
  at::Tensor logprob = ToTensor(c.logprob).requires_grad_();
  PolicyStats stats;
  PolicyLoss(logprob, ToTensor(c.behaviour), ToTensor(c.advantage), 10, {0.2, 0.28}, &stats)
      .backward();
  const double h = 1e-6;
  for (size_t t = 0; t < c.logprob.size(); ++t) {
    std::vector<double> up(c.logprob.begin(), c.logprob.end()), down = up;
    up[t] += h;
    down[t] -= h;
    const double slope =
        (SlowLoss(up, c, 10, 0.2, 0.28) - SlowLoss(down, c, 10, 0.2, 0.28)) / (2 * h);
    EXPECT_NEAR(logprob.grad()[t].item<double>(), slope, 1e-4 * std::abs(slope) + 1e-6)
        << "token " << t;
  }
}

TEST(PolicyLoss, AtRatioOneIsReinforce) {
  Case c = RandomCase(3, 16);
  at::Tensor logprob = ToTensor(c.behaviour).requires_grad_();
  PolicyStats stats;
  PolicyLoss(logprob, ToTensor(c.behaviour), ToTensor(c.advantage), 16, {0.2, 0.28}, &stats)
      .backward();
  for (size_t t = 0; t < c.advantage.size(); ++t) {
    EXPECT_FLOAT_EQ(logprob.grad()[t].item<float>(), -c.advantage[t] / 16);
  }
  EXPECT_EQ(stats.clipped, 0);
  EXPECT_EQ(stats.kl, 0);
}

TEST(PolicyLoss, SumsOverMicrobatches) {
  const Case c = RandomCase(11, 40);
  PolicyStats whole, parts;
  PolicyLoss(ToTensor(c.logprob), ToTensor(c.behaviour), ToTensor(c.advantage), 40, {}, &whole);
  for (int64_t at = 0; at < 40; at += 8) {
    PolicyLoss(ToTensor(c.logprob).slice(0, at, at + 8), ToTensor(c.behaviour).slice(0, at, at + 8),
               ToTensor(c.advantage).slice(0, at, at + 8), 40, {}, &parts);
  }
  EXPECT_NEAR(parts.loss, whole.loss, 1e-6 * std::abs(whole.loss) + 1e-8);
  EXPECT_EQ(parts.clipped, whole.clipped);
}

}  // namespace
}  // namespace ponder::learner
