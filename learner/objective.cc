#include "learner/objective.h"

#include <ATen/ATen.h>

namespace ponder::learner {

at::Tensor PolicyLoss(const at::Tensor& logprob, const at::Tensor& behaviour,
                      const at::Tensor& advantage, double denominator,
                      const PolicyLossOptions& options, PolicyStats* stats) {
  const at::Tensor log_ratio = logprob - behaviour;
  const at::Tensor ratio = log_ratio.exp();
  const at::Tensor unclipped = ratio * advantage;
  const at::Tensor clipped = ratio.clamp(1 - options.clip_low, 1 + options.clip_high) * advantage;
  const at::Tensor loss = -at::minimum(unclipped, clipped).sum() / denominator;

  const at::NoGradGuard no_grad;
  stats->loss += loss.item<double>();
  stats->tokens += static_cast<double>(logprob.numel());
  stats->clipped += clipped.lt(unclipped).sum().item<double>();
  stats->kl += (ratio - 1 - log_ratio).sum().item<double>();
  return loss;
}

at::Tensor NllLoss(const at::Tensor& logprob, double denominator) {
  return -logprob.sum() / denominator;
}

}  // namespace ponder::learner
