// From rewards to advantages: the estimators as pure functions of numbers (gamma is 1 throughout).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace ponder::reward {

// --- one number a response, from the rewards of its group ---

// (R_i - mean) / (std + 1e-6), population std (GRPO, arXiv 2402.03300). Rewards that are all equal
// give exactly zero, so does a group of one.
std::vector<double> GroupNormalised(absl::Span<const double> rewards);
// R_i - mean (Dr. GRPO, arXiv 2503.20783).
std::vector<double> GroupCentred(absl::Span<const double> rewards);
// R_i - mean of the others (RLOO, arXiv 2402.14740); zero for a group of one.
std::vector<double> LeaveOneOut(absl::Span<const double> rewards);

// --- one number a token, from the rewards r_0 ... r_{l-1} of a response's tokens ---

// sum_{u >= t} r_u: what is still to come.
std::vector<double> RewardToGo(absl::Span<const double> rewards);
// Generalised advantage estimation (arXiv 1506.02438): A_t = sum_k lambda^k delta_{t+k}, delta_t =
// r_t + V_{t+1} - V_t, where V_t is the value before token t and V_l is 0.
std::vector<double> Gae(absl::Span<const double> rewards, absl::Span<const double> values,
                        double lambda);
// 1 - 1 / (alpha * tokens), clamped to [0, 1): so that sum lambda^t is about alpha * tokens (VAPO,
// arXiv 2504.05118).
double LengthAdaptiveLambda(int64_t tokens, double alpha);

// Shifts and scales to mean 0 and population deviation 1; all equal: all zero.
void Whiten(absl::Span<double> values);

// 1 - Var(returns - values) / Var(returns): 1 is a perfect prediction, 0 no better than a
// constant; 0 if the returns don't vary.
double ExplainedVariance(absl::Span<const double> values, absl::Span<const double> returns);

}  // namespace ponder::reward
