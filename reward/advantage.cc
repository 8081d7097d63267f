#include "reward/advantage.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace ponder::reward {
namespace {

// Deviations are taken from the first value: the mean of values that are all equal is exact.
double Mean(absl::Span<const double> values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0;
  for (const double value : values) mean += (value - values[0]) / count;
  return values.empty() ? 0 : mean + values[0];
}

double Variance(absl::Span<const double> values, double mean) {
  const auto count = static_cast<double>(values.size());
  double variance = 0;
  for (const double value : values) variance += (value - mean) * (value - mean) / count;
  return variance;
}

}  // namespace

std::vector<double> GroupNormalised(absl::Span<const double> rewards) {
  const double mean = Mean(rewards);
  const double scale = std::sqrt(Variance(rewards, mean)) + 1e-6;
  std::vector<double> advantages;
  for (const double reward : rewards) advantages.push_back((reward - mean) / scale);
  return advantages;
}

std::vector<double> GroupCentred(absl::Span<const double> rewards) {
  const double mean = Mean(rewards);
  std::vector<double> advantages;
  for (const double reward : rewards) advantages.push_back(reward - mean);
  return advantages;
}

std::vector<double> LeaveOneOut(absl::Span<const double> rewards) {
  // R_i - (n mean - R_i) / (n - 1) = (R_i - mean) n / (n - 1).
  const auto count = static_cast<double>(rewards.size());
  std::vector<double> advantages = GroupCentred(rewards);
  for (double& advantage : advantages) advantage *= count > 1 ? count / (count - 1) : 0;
  return advantages;
}

std::vector<double> RewardToGo(absl::Span<const double> rewards) {
  std::vector<double> returns(rewards.size());
  double sum = 0;
  for (size_t t = rewards.size(); t-- > 0;) returns[t] = sum += rewards[t];
  return returns;
}

std::vector<double> Gae(absl::Span<const double> rewards, absl::Span<const double> values,
                        double lambda) {
  PONDER_CHECK(rewards.size() == values.size(), rewards.size(), " != ", values.size());
  std::vector<double> advantages(rewards.size());
  double next_value = 0;
  double next_advantage = 0;
  for (size_t t = rewards.size(); t-- > 0;) {
    const double delta = rewards[t] + next_value - values[t];
    next_advantage = advantages[t] = delta + lambda * next_advantage;
    next_value = values[t];
  }
  return advantages;
}

double LengthAdaptiveLambda(int64_t tokens, double alpha) {
  const double lambda = 1 - 1 / (alpha * static_cast<double>(tokens));
  return std::clamp(lambda, 0.0, std::nextafter(1.0, 0.0));
}

void Whiten(absl::Span<double> values) {
  const double mean = Mean(values);
  const double scale = std::sqrt(Variance(values, mean)) + 1e-8;
  for (double& value : values) value = (value - mean) / scale;
}

double ExplainedVariance(absl::Span<const double> values, absl::Span<const double> returns) {
  PONDER_CHECK(values.size() == returns.size(), values.size(), " != ", returns.size());
  const double all = Variance(returns, Mean(returns));
  if (all == 0) return 0;
  std::vector<double> errors;
  for (size_t i = 0; i < values.size(); ++i) errors.push_back(returns[i] - values[i]);
  return 1 - Variance(errors, Mean(errors)) / all;
}

}  // namespace ponder::reward
