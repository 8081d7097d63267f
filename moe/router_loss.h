// The router's own losses: what keeps a layer's experts evenly loaded and its logits small. They
// act on the router alone, beside the loss of what the model says. Plain arithmetic in float64.
//
// With N experts, K of them a token, p the scores of a token over their sum (of a softmax router:
// its softmax), and f_i = N / K * the share of tokens that went to expert i (a constant):
//
//   balance, by sequence  sum_i f_i P_i over the tokens of each sequence, P_i the mean of p_i, then
//   the
//                         mean over sequences (DeepSeek-V3, arXiv 2412.19437, eq. 17 to 20)
//   balance, by batch     the same over all tokens of the update (Switch, 2101.03961, eq. 4)
//   z                     the mean over tokens of (log sum_i exp(logit_i))^2 (ST-MoE, 2202.08906)
//
// Perfect balance is 1. Each is summed over the layers. Every denominator is the whole update's, so
// that micro-batches and ranks don't matter.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "moe/kernels/routing.h"

namespace ponder::moe {

// A coefficient over the denominator that it goes with; 0: off. A value.
struct RouterLoss {
  double per_sequence = 0;  // of balance by sequence: coefficient / sequences of the update
  double per_token = 0;     // of balance by batch: coefficient / tokens of the update
  // [MoE layers][E], with per_token: f_i of the whole update.
  std::vector<std::vector<double>> load;
  double z_per_token = 0;  // coefficient / tokens of the update

  bool on() const { return per_sequence != 0 || per_token != 0 || z_per_token != 0; }
};

// What a layer's tokens add to the loss, coefficients included. A value.
struct RouterLossSums {
  double balance = 0;
  double z = 0;
};

// Of the sequences [starts[s], starts[s + 1]) of `logits` [T, E] and the experts [T, K] chosen from
// them; `load_E` is the layer's row of loss.load, or null. Adds the gradient to dlogits [T, E].
RouterLossSums AddRouterLoss(const kernels::RouterOptions& options, const RouterLoss& loss,
                             const double* load_E, absl::Span<const int64_t> starts,
                             const float* logits_TE, const int32_t* experts_TK,
                             kernels::ThreadPool& pool, float* dlogits_TE);

// f of each layer from the (token, slot) pairs that its experts got; empty rows without tokens.
std::vector<std::vector<double>> LoadOf(const std::vector<std::vector<int64_t>>& expert_tokens);

}  // namespace ponder::moe
