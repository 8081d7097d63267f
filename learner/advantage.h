// The advantage of every response token of a batch, by the estimator that the recipe names.
//
// A new estimator is a function on PolicyBatch and a line in the table of advantage.cc.
#pragma once

#include <string>
#include <vector>

#include "learner/policy_batch.h"

namespace ponder::learner {

// How far the policy has moved from the reference, at one token with log-probs `logprob` and
// `reference`, x = logprob - reference: k1 = x; k2 = x^2 / 2; k3 = e^-x - 1 + x (Schulman,
// "Approximating KL Divergence"). Of samples from the policy k1 and k3 are unbiased.
enum class KlEstimator { kK1, kK2, kK3 };
double KlEstimate(KlEstimator estimator, double logprob, double reference);
// Its derivative by `logprob`.
double KlSlope(KlEstimator estimator, double logprob, double reference);

struct AdvantageOptions {
  std::string estimator = "grpo";  // a name in the table
  double gae_lambda = 0.95;        // of the policy's advantages
  double length_alpha = 0;         // > 0: length-adaptive lambda instead (VAPO)
  double value_lambda = 1;         // of the value model's targets (decoupled GAE)
  bool whiten = false;             // over all response tokens of the batch, at the end
  double kl_coef = 0;              // reward -= kl_coef * KL to the reference, token by token
  KlEstimator kl_estimator = KlEstimator::kK1;
};

// Whether the table has it, and whether it reads the batch's values.
bool IsAdvantageEstimator(const std::string& name);
bool NeedsValues(const std::string& estimator);

// Fills in advantages, and returns where there are values. Every rank computes the same from the
// whole batch.
void ComputeAdvantages(const AdvantageOptions& options, PolicyBatch* batch);

// Values and returns of the batch's response tokens: reward::ExplainedVariance of them.
double ExplainedVariance(const PolicyBatch& batch);

}  // namespace ponder::learner
