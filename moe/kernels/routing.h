// The router's choice of experts and the permutation that sorts tokens by expert.
// Legend: T tokens, E experts, K experts a token, H hidden.
#pragma once

#include <cstdint>
#include <vector>

#include "moe/kernels/thread_pool.h"

namespace ponder::kernels {

enum class ScoringFunc { kSoftmax, kSigmoid };

struct RouterOptions {
  int64_t num_experts = 0;
  int64_t num_experts_per_tok = 0;
  ScoringFunc scoring_func = ScoringFunc::kSoftmax;
  bool norm_topk_prob = true;       // chosen weights sum to 1
  float routed_scaling_factor = 1;  // applied last
  // Group-limited choice (DeepSeek): only experts of the topk_group best of n_group groups of
  // neighbours are eligible. A group scores as its best expert, or as the sum of its two best.
  int64_t n_group = 1;
  int64_t topk_group = 1;
  bool group_score_top2 = false;
};

// scores = softmax or sigmoid of logits [T, E]; the K best (of scores + selection_bias_E when
// given; experts outside the chosen groups count as 0, as in transformers; ties go to the lower
// index) in descending order into experts [T, K]; their scores, normalised and scaled, into weights
// [T, K].
void RouterForward(ThreadPool& pool, const RouterOptions& options, const float* logits_TE,
                   int64_t t, const float* selection_bias_E, int32_t* experts_TK,
                   float* weights_TK);
// The weights of experts that were chosen elsewhere, as RouterForward gives them to its own: from
// the scores of these logits.
void RouterWeights(ThreadPool& pool, const RouterOptions& options, const float* logits_TE,
                   int64_t t, const int32_t* experts_TK, float* weights_TK);
// dlogits [T, E] (overwritten) from dweights [T, K]; recomputes scores from the logits. The choice
// itself has no gradient.
void RouterBackward(ThreadPool& pool, const RouterOptions& options, const float* logits_TE,
                    int64_t t, const int32_t* experts_TK, const float* dweights_TK,
                    float* dlogits_TE);

// Where each (token, slot) goes when rows are sorted by expert, stably by token.
struct ExpertOrder {
  std::vector<int64_t> offsets;   // [E + 1]: rows of expert e are [offsets[e], offsets[e + 1])
  std::vector<int32_t> row_of;    // [T * K]: sorted row of slot k of token t, at t * K + k
  std::vector<int32_t> token_of;  // [T * K]: token of a sorted row
};
void SortByExpert(const int32_t* experts_TK, int64_t t, int64_t k, int64_t num_experts,
                  ExpertOrder* order);

// out[r] = x[token_of[r]], rows of length H.
void GatherRows(ThreadPool& pool, const float* x, const int32_t* token_of, int64_t rows, int64_t h,
                float* out);
// y[t] = sum over slots k, in slot order from 0, of weights[t, k] * rows[row_of[t, k]].
void CombineRows(ThreadPool& pool, const float* rows, const int32_t* row_of_TK,
                 const float* weights_TK, int64_t t, int64_t k, int64_t h, float* y_TH);

}  // namespace ponder::kernels
