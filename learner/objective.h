// The losses, as sums over the tokens at hand divided by a denominator counted over the whole batch
// beforehand: so that loss and gradients do not depend on how the batch is split (promise 6).
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"

namespace ponder::learner {

// DAPO's token-level clipped objective (arXiv 2503.14476, eq. 8).
struct PolicyLossOptions {
  double clip_low = 0.2;
  double clip_high = 0.28;
};

// Sums over tokens; add those of micro-batches and ranks, then divide by `tokens`.
struct PolicyStats {
  double loss = 0;  // already divided by the denominator: only add
  double tokens = 0;
  double clipped = 0;  // tokens whose gradient the clip removed
  double kl = 0;       // k3 estimate of KL(behaviour || current): r - 1 - log r
  double entropy = 0;  // nats, of the full distribution
  double gap_max =
      0;  // max |log pi_current - log pi_behaviour| over on-policy tokens; combine by max
  double on_policy_tokens = 0;
};

// -sum_t min(r_t A_t, clip(r_t, 1 - clip_low, 1 + clip_high) A_t) / denominator, r_t =
// exp(logprob_t - behaviour_t). All tensors [N] float32; only `logprob` carries gradient. Adds to
// loss, tokens, clipped and kl of `stats`.
at::Tensor PolicyLoss(const at::Tensor& logprob, const at::Tensor& behaviour,
                      const at::Tensor& advantage, double denominator,
                      const PolicyLossOptions& options, PolicyStats* stats);

// -sum_t logprob_t / denominator.
at::Tensor NllLoss(const at::Tensor& logprob, double denominator);

}  // namespace ponder::learner
