// The objective of a policy update, composed of a policy loss and regularisers:
//
//   L = policy loss + kl_coef * KL(pi || reference) - entropy_coef * entropy
//       + positive_nll_coef * NLL of the correct responses
//
// as a sum over response tokens with weights that are counted over the whole batch beforehand: so
// that loss and gradients do not depend on how the batch is split (promise 6). Plain arithmetic in
// float64 on what the forward pass gave; the gradient goes back to it in float32.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "learner/advantage.h"
#include "learner/policy_batch.h"
#include "learner/policy_loss.h"

namespace ponder::learner {

enum class Aggregation {
  kTokenMean,       // over all tokens of the batch (DAPO)
  kSequenceMean,    // over each response, then over responses (GRPO)
  kConstantLength,  // over responses, each divided by one constant (Dr. GRPO)
};

struct ObjectiveOptions {
  std::string policy_loss = "clip";  // a name in the table of policy_loss.cc
  double clip_low = 0.2;
  double clip_high = 0.28;
  Aggregation aggregation = Aggregation::kTokenMean;
  int64_t constant_length = 1;  // tokens
  double kl_coef = 0;           // > 0: the batch has reference_logprobs
  KlEstimator kl_estimator = KlEstimator::kK3;
  double entropy_coef = 0;
  double positive_nll_coef = 0;  // mu (VAPO)
  RatioCorrection correction;    // other than kNone: the batch has proximal_logprobs
};

// Of everything that one update trains on, masked responses left out.
struct Denominators {
  double tokens = 0;
  double sequences = 0;
  double correct_tokens = 0;
};
Denominators CountDenominators(const PolicyBatch& batch, absl::Span<const int64_t> chosen);

// Sums over tokens; add those of micro-batches and ranks, then divide by `tokens`.
struct PolicyStats {
  double loss = 0;  // weighted already: only add
  double tokens = 0;
  double clipped = 0;       // tokens whose gradient the clip removed
  double kl = 0;            // k3 estimate of KL(behaviour || current): r - 1 - log r
  double reference_kl = 0;  // k3 estimate of KL(current || reference)
  double corrected = 0;     // tokens whose ratio correction was cut
  double entropy = 0;       // nats, of the full distribution
  double positive_nll = 0;  // weighted already: the mean over the correct responses' tokens
  double gap_max =
      0;  // max |log pi_current - log pi_behaviour| over on-policy tokens; combine by max
  double on_policy_tokens = 0;
};

// d loss / d what the forward pass gave of the pack's N tokens.
struct ObjectiveGradient {
  std::vector<float> logprob;
  std::vector<float> entropy;  // empty: zero
};

// `logprob` [N] of the pack's tokens under the policy in training. Adds to `stats`, all but entropy
// and gaps. The loss's entropy term needs `entropy` [N].
ObjectiveGradient PolicyObjective(const ObjectiveOptions& options, const PolicyBatch& batch,
                                  absl::Span<const int64_t> sequences, const SequencePack& pack,
                                  absl::Span<const float> logprob, absl::Span<const float> entropy,
                                  const Denominators& denominators, PolicyStats* stats);

// Mean negative log-likelihood of the response tokens.
ObjectiveGradient NllObjective(absl::Span<const float> logprob, const Denominators& denominators,
                               PolicyStats* stats);

}  // namespace ponder::learner
