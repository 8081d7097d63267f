#include "learner/objective.h"

#include <cmath>

#include "base/check.h"

namespace ponder::learner {
namespace {

// Rounded to float32: then an on-policy token's gradient is one product of two floats, rounded
// once.
double TokenWeight(const ObjectiveOptions& options, const Denominators& denominators,
                   int64_t response_tokens) {
  switch (options.aggregation) {
    case Aggregation::kTokenMean:
      return static_cast<float>(1 / denominators.tokens);
    case Aggregation::kSequenceMean:
      return static_cast<float>(1 /
                                (denominators.sequences * static_cast<double>(response_tokens)));
    case Aggregation::kConstantLength:
      break;
  }
  return static_cast<float>(
      1 / (denominators.sequences * static_cast<double>(options.constant_length)));
}

// The arrays of one response, in float64.
struct Scratch {
  std::vector<double> logprob, log_ratio, log_rho, advantage, weight, gradient;
  void Resize(size_t n) {
    for (auto* array : {&logprob, &log_ratio, &log_rho, &advantage, &weight, &gradient})
      array->resize(n);
  }
};

}  // namespace

Denominators CountDenominators(const PolicyBatch& batch, absl::Span<const int64_t> chosen) {
  Denominators count;
  for (const int64_t s : chosen) {
    if (!batch.included[s]) continue;
    const auto tokens = static_cast<double>(batch.response_length(s));
    count.tokens += tokens;
    ++count.sequences;
    if (batch.correct[s]) count.correct_tokens += tokens;
  }
  return count;
}

ObjectiveGradient PolicyObjective(const ObjectiveOptions& options, const PolicyBatch& batch,
                                  absl::Span<const int64_t> sequences, const SequencePack& pack,
                                  absl::Span<const float> logprob, absl::Span<const float> entropy,
                                  const Denominators& denominators, PolicyStats* stats) {
  const PolicyLossFunction policy_loss = FindPolicyLoss(options.policy_loss);
  PONDER_CHECK(policy_loss != nullptr, "no policy loss ", options.policy_loss);
  const std::vector<float>& old = batch.old_logprobs();
  ObjectiveGradient gradient;
  gradient.logprob.assign(logprob.size(), 0.f);
  if (options.entropy_coef != 0) gradient.entropy.assign(logprob.size(), 0.f);
  Scratch of;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const int64_t s = sequences[i];
    if (!batch.included[s]) continue;
    const int64_t first = pack.responses[i];
    const int64_t n = pack.responses[i + 1] - first;
    of.Resize(n);
    for (int64_t t = 0; t < n; ++t) {
      const int64_t place = pack.places[first + t];
      of.logprob[t] = logprob[first + t];
      of.log_ratio[t] = of.logprob[t] - old[place];
      of.log_rho[t] = double{old[place]} - batch.behaviour_logprobs[place];
      of.advantage[t] = batch.advantages[place];
    }
    stats->corrected += static_cast<double>(
        CorrectionWeights(options.correction, of.log_rho, absl::MakeSpan(of.weight)));
    const double share = TokenWeight(options, denominators, n);
    for (double& weight : of.weight) weight *= share;
    int64_t clipped = 0;
    stats->loss += policy_loss(
        {of.logprob, of.log_ratio, of.advantage, of.weight, options.clip_low, options.clip_high},
        absl::MakeSpan(of.gradient), &clipped);
    stats->clipped += static_cast<double>(clipped);
    stats->tokens += static_cast<double>(n);

    const double positive =
        options.positive_nll_coef != 0 && batch.correct[s] ? 1 / denominators.correct_tokens : 0;
    for (int64_t t = 0; t < n; ++t) {
      const double to_behaviour = of.log_ratio[t] + of.log_rho[t];
      stats->kl += std::expm1(to_behaviour) - to_behaviour;
      if (!batch.reference_logprobs.empty()) {
        const double reference = batch.reference_logprobs[pack.places[first + t]];
        stats->reference_kl += KlEstimate(KlEstimator::kK3, of.logprob[t], reference);
        stats->loss +=
            options.kl_coef * share * KlEstimate(options.kl_estimator, of.logprob[t], reference);
        of.gradient[t] +=
            options.kl_coef * share * KlSlope(options.kl_estimator, of.logprob[t], reference);
      }
      stats->positive_nll -= positive * of.logprob[t];
      stats->loss -= options.positive_nll_coef * positive * of.logprob[t];
      of.gradient[t] -= options.positive_nll_coef * positive;
      gradient.logprob[first + t] = static_cast<float>(of.gradient[t]);
      if (options.entropy_coef != 0) {
        stats->loss -= options.entropy_coef * share * entropy[first + t];
        gradient.entropy[first + t] = static_cast<float>(-options.entropy_coef * share);
      }
    }
  }
  return gradient;
}

ObjectiveGradient NllObjective(absl::Span<const float> logprob, const Denominators& denominators,
                               PolicyStats* stats) {
  const auto weight = static_cast<float>(1 / denominators.tokens);
  for (const float x : logprob) stats->loss -= double{weight} * x;
  stats->tokens += static_cast<double>(logprob.size());
  return {std::vector<float>(logprob.size(), -weight), {}};
}

}  // namespace ponder::learner
