// The policy losses against their equations in the papers, written out slowly, and their gradients
// against finite differences of those.
#include "learner/policy_loss.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "base/philox.h"
#include "gtest/gtest.h"

namespace ponder::learner {
namespace policy_loss_test {

struct Case {
  std::vector<double> logprob, old, advantage, weight;
  double low = 0.2, high = 0.28;
};

Case RandomCase(uint64_t seed, bool one_advantage) {
  Rng rng(seed, "policy_loss_test");
  Case random;
  const double shared = rng.NextGaussian();
  const double scale = 0.3 / rng.NextInt(1, 100);  // GSPO's ratio is near 1: its clip too
  for (int64_t t = rng.NextInt(1, 30); t > 0; --t) {
    random.old.push_back(-3 * rng.NextUniform());
    random.logprob.push_back(random.old.back() +
                             (one_advantage ? scale : 0.3) * rng.NextGaussian());
    random.advantage.push_back(one_advantage ? shared : rng.NextGaussian());
    random.weight.push_back(rng.NextInt(0, 4) == 0 ? 0 : rng.NextUniform());
  }
  if (one_advantage) random.low = 3e-4, random.high = 4e-4;
  return random;
}

double ClipTo(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

// The loss as a function of the log-probs. `at` is where the constants under sg() are taken.
using Slow = std::function<double(const Case&, const std::vector<double>& logprob,
                                  const std::vector<double>& at)>;

double SlowClip(const Case& c, const std::vector<double>& logprob, const std::vector<double>&) {
  double loss = 0;
  for (size_t t = 0; t < logprob.size(); ++t) {
    const double r = std::exp(logprob[t] - c.old[t]);
    loss -= c.weight[t] *
            std::min(r * c.advantage[t], ClipTo(r, 1 - c.low, 1 + c.high) * c.advantage[t]);
  }
  return loss;
}

double SlowGspo(const Case& c, const std::vector<double>& logprob, const std::vector<double>&) {
  double sum = 0;
  for (size_t t = 0; t < logprob.size(); ++t) sum += logprob[t] - c.old[t];
  const double s = std::exp(sum / static_cast<double>(logprob.size()));
  double loss = 0;
  for (size_t t = 0; t < logprob.size(); ++t) {
    loss -= c.weight[t] *
            std::min(s * c.advantage[t], ClipTo(s, 1 - c.low, 1 + c.high) * c.advantage[t]);
  }
  return loss;
}

double SlowCispo(const Case& c, const std::vector<double>& logprob, const std::vector<double>& at) {
  double loss = 0;
  for (size_t t = 0; t < logprob.size(); ++t) {
    const double kept = ClipTo(std::exp(at[t] - c.old[t]), 1 - c.low, 1 + c.high);
    loss -= c.weight[t] * kept * c.advantage[t] * logprob[t];
  }
  return loss;
}

double SlowReinforce(const Case& c, const std::vector<double>& logprob,
                     const std::vector<double>&) {
  double loss = 0;
  for (size_t t = 0; t < logprob.size(); ++t) loss -= c.weight[t] * c.advantage[t] * logprob[t];
  return loss;
}

double Loss(const std::string& name, const Case& c, std::vector<double>* gradient,
            int64_t* clipped) {
  std::vector<double> log_ratio;
  for (size_t t = 0; t < c.logprob.size(); ++t) log_ratio.push_back(c.logprob[t] - c.old[t]);
  gradient->assign(c.logprob.size(), 0);
  return FindPolicyLoss(name)({c.logprob, log_ratio, c.advantage, c.weight, c.low, c.high},
                              absl::MakeSpan(*gradient), clipped);
}

struct Named {
  const char* name;
  Slow slow;
};
class PolicyLosses : public testing::TestWithParam<Named> {};

TEST_P(PolicyLosses, AgreeWithTheirEquationAndItsSlope) {
  int64_t clipped = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Case c = RandomCase(seed, std::string(GetParam().name) == "gspo");
    std::vector<double> gradient;
    const double loss = Loss(GetParam().name, c, &gradient, &clipped);
    EXPECT_NEAR(loss, GetParam().slow(c, c.logprob, c.logprob), 1e-10);
    for (size_t t = 0; t < c.logprob.size(); ++t) {
      const double h = 1e-6;
      std::vector<double> up = c.logprob, down = c.logprob;
      up[t] += h;
      down[t] -= h;
      const double slope =
          (GetParam().slow(c, up, c.logprob) - GetParam().slow(c, down, c.logprob)) / (2 * h);
      EXPECT_NEAR(gradient[t], slope, 1e-6 * std::abs(slope) + 1e-8) << "token " << t;
    }
  }
  if (std::string(GetParam().name) != "reinforce") {
    EXPECT_GT(clipped, 10) << "nothing was tested";
  }
}

INSTANTIATE_TEST_SUITE_P(Table, PolicyLosses,
                         testing::Values(Named{"clip", SlowClip}, Named{"gspo", SlowGspo},
                                         Named{"cispo", SlowCispo},
                                         Named{"reinforce", SlowReinforce}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(PolicyLoss, AtRatioOneEveryLossHasTheGradientOfReinforce) {
  Case c = RandomCase(5, true);
  c.logprob = c.old;
  c.weight.assign(c.old.size(), 0.25);  // GSPO's gradient is even over the response
  std::vector<double> expected, gradient;
  int64_t clipped = 0;
  Loss("reinforce", c, &expected, &clipped);
  for (const char* name : {"clip", "gspo", "cispo"}) {
    Loss(name, c, &gradient, &clipped);
    for (size_t t = 0; t < gradient.size(); ++t)
      EXPECT_NEAR(gradient[t], expected[t], 1e-12) << name;
  }
  EXPECT_EQ(clipped, 0);
}

TEST(PolicyLoss, UnknownNameIsNull) { EXPECT_EQ(FindPolicyLoss("pppo"), nullptr); }

TEST(CorrectionWeights, AgreeWithTheirDefinitions) {
  using Kind = RatioCorrection::Kind;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, "correction");
    std::vector<double> log_rho;
    double product = 1;
    for (int64_t t = rng.NextInt(1, 12); t > 0; --t) {
      log_rho.push_back(rng.NextGaussian());
      product *= std::exp(log_rho.back());
    }
    const auto n = static_cast<double>(log_rho.size());
    const double geometric = std::pow(product, 1 / n);
    std::vector<double> weights(log_rho.size());
    const auto weigh = [&](Kind kind, double min, double max) {
      return CorrectionWeights({kind, min, max}, log_rho, absl::MakeSpan(weights));
    };
    EXPECT_EQ(weigh(Kind::kNone, 0.5, 2), 0);
    for (const double w : weights) EXPECT_EQ(w, 1);
    weigh(Kind::kTruncate, 0.5, 2);
    for (size_t t = 0; t < weights.size(); ++t)
      EXPECT_NEAR(weights[t], std::min(std::exp(log_rho[t]), 2.0), 1e-12);
    int64_t outside = 0;
    const int64_t cut = weigh(Kind::kMask, 0.5, 2);
    for (size_t t = 0; t < weights.size(); ++t) {
      const double rho = std::exp(log_rho[t]);
      const bool keeps = 0.5 <= rho && rho <= 2;
      EXPECT_NEAR(weights[t], keeps ? rho : 0, 1e-12);
      outside += !keeps;
    }
    EXPECT_EQ(cut, outside);
    weigh(Kind::kSequenceTruncate, 0.5, 2);
    for (const double w : weights) EXPECT_NEAR(w, std::min(product, 2.0), 1e-9);
    EXPECT_EQ(weigh(Kind::kSequenceMask, 0.9, 1.1),
              0.9 <= geometric && geometric <= 1.1 ? 0 : static_cast<int64_t>(n));
    for (const double w : weights) EXPECT_EQ(w, 0.9 <= geometric && geometric <= 1.1 ? 1 : 0);
  }
}

}  // namespace policy_loss_test
}  // namespace ponder::learner
