// The router row by row, and the permutation of rows.
#include "moe/kernels/routing.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "moe/kernels/isa/table.h"
#include "moe/kernels/sharing.h"

namespace ponder::kernels {
namespace {

// A row of the router: exps, and a search for each chosen expert.
int64_t RowCost(const RouterOptions& options) {
  return options.num_experts * (4 + options.num_experts_per_tok);
}

// Sets the keys of experts outside the best groups to 0. `taken` is scratch of [n_group].
void LimitToGroups(const RouterOptions& options, float* keys_E, char* taken) {
  const int64_t size = options.num_experts / options.n_group;
  const auto score = [&](int64_t group) {
    float best = -std::numeric_limits<float>::infinity();
    float second = best;
    for (int64_t e = group * size; e < (group + 1) * size; ++e) {
      second = std::max(second, std::min(best, keys_E[e]));
      best = std::max(best, keys_E[e]);
    }
    return options.group_score_top2 ? best + second : best;
  };
  std::fill_n(taken, options.n_group, 0);
  for (int64_t i = 0; i < options.topk_group; ++i) {
    int64_t chosen = -1;
    for (int64_t group = 0; group < options.n_group; ++group) {
      if (!taken[group] && (chosen < 0 || score(group) > score(chosen))) chosen = group;
    }
    taken[chosen] = 1;
  }
  for (int64_t e = 0; e < options.num_experts; ++e) {
    if (!taken[e / size]) keys_E[e] = 0;
  }
}

void Scores(const RouterOptions& options, const float* logits_E, float* scores_E) {
  const isa::KernelTable& kernels = isa::Kernels();
  const int64_t e = options.num_experts;
  if (options.scoring_func == ScoringFunc::kSigmoid) {
    kernels.sigmoid_row(logits_E, e, scores_E);
  } else {
    const isa::SoftmaxSums sums = kernels.softmax_sums(logits_E, e, 1);
    kernels.exp_row(logits_E, e, 1, sums.max, 1 / sums.sum, scores_E);
  }
}

// Of the chosen experts: their scores, normalised and scaled.
void Weigh(const RouterOptions& options, const float* scores_E, const int32_t* experts_K,
           float* weights_K) {
  float sum = 0;
  for (int64_t k = 0; k < options.num_experts_per_tok; ++k) {
    weights_K[k] = scores_E[experts_K[k]];
    sum += weights_K[k];
  }
  for (int64_t k = 0; k < options.num_experts_per_tok; ++k) {
    if (options.norm_topk_prob) weights_K[k] /= sum;
    weights_K[k] *= options.routed_scaling_factor;
  }
}

}  // namespace

void RouterForward(ThreadPool& pool, const RouterOptions& options, const float* logits, int64_t t,
                   const float* selection_bias, int32_t* experts, float* weights) {
  const int64_t num_experts = options.num_experts;
  const int64_t chosen = options.num_experts_per_tok;
  pool.ParallelFor(t, RowsWorthSharing(RowCost(options)), [&](int64_t begin, int64_t end) {
    std::vector<float> scores(num_experts);
    std::vector<float> keys(num_experts);
    std::vector<char> taken(num_experts);
    for (int64_t i = begin; i < end; ++i) {
      Scores(options, logits + i * num_experts, scores.data());
      for (int64_t e = 0; e < num_experts; ++e) {
        keys[e] = selection_bias == nullptr ? scores[e] : scores[e] + selection_bias[e];
      }
      if (options.n_group > 1) LimitToGroups(options, keys.data(), taken.data());
      std::fill(taken.begin(), taken.end(), 0);
      for (int64_t k = 0; k < chosen; ++k) {
        int64_t best = -1;
        for (int64_t e = 0; e < num_experts; ++e) {
          if (!taken[e] && (best < 0 || keys[e] > keys[best])) best = e;
        }
        taken[best] = 1;
        experts[i * chosen + k] = static_cast<int32_t>(best);
      }
      Weigh(options, scores.data(), experts + i * chosen, weights + i * chosen);
    }
  });
}

void RouterWeights(ThreadPool& pool, const RouterOptions& options, const float* logits, int64_t t,
                   const int32_t* experts, float* weights) {
  const int64_t chosen = options.num_experts_per_tok;
  pool.ParallelFor(t, RowsWorthSharing(RowCost(options)), [&](int64_t begin, int64_t end) {
    std::vector<float> scores(options.num_experts);
    for (int64_t i = begin; i < end; ++i) {
      Scores(options, logits + i * options.num_experts, scores.data());
      Weigh(options, scores.data(), experts + i * chosen, weights + i * chosen);
    }
  });
}

void RouterBackward(ThreadPool& pool, const RouterOptions& options, const float* logits, int64_t t,
                    const int32_t* experts, const float* dweights, float* dlogits) {
  const int64_t num_experts = options.num_experts;
  const int64_t chosen = options.num_experts_per_tok;
  pool.ParallelFor(t, RowsWorthSharing(RowCost(options)), [&](int64_t begin, int64_t end) {
    std::vector<float> scores(num_experts);
    std::vector<float> dscores(num_experts);
    for (int64_t i = begin; i < end; ++i) {
      Scores(options, logits + i * num_experts, scores.data());
      std::fill(dscores.begin(), dscores.end(), 0.0f);
      const int32_t* slots = experts + i * chosen;
      const float* dw = dweights + i * chosen;
      float sum = 0;
      float dot = 0;
      for (int64_t k = 0; k < chosen; ++k) {
        sum += scores[slots[k]];
        dot += dw[k] * scores[slots[k]];
      }
      // weight_k = score_k / sum when normalised: d score_k = (dw_k - sum_j dw_j weight_j) / sum.
      for (int64_t k = 0; k < chosen; ++k) {
        const float d = options.norm_topk_prob ? (dw[k] - dot / sum) / sum : dw[k];
        dscores[slots[k]] = options.routed_scaling_factor * d;
      }
      float mean = 0;
      for (int64_t k = 0; k < chosen; ++k) mean += dscores[slots[k]] * scores[slots[k]];
      float* out = dlogits + i * num_experts;
      for (int64_t e = 0; e < num_experts; ++e) {
        out[e] = options.scoring_func == ScoringFunc::kSigmoid
                     ? dscores[e] * scores[e] * (1 - scores[e])
                     : scores[e] * (dscores[e] - mean);
      }
    }
  });
}

void SortByExpert(const int32_t* experts, int64_t t, int64_t k, int64_t num_experts,
                  ExpertOrder* order) {
  order->offsets.assign(num_experts + 1, 0);
  order->row_of.resize(t * k);
  order->token_of.resize(t * k);
  for (int64_t i = 0; i < t * k; ++i) ++order->offsets[experts[i] + 1];
  for (int64_t e = 0; e < num_experts; ++e) order->offsets[e + 1] += order->offsets[e];
  std::vector<int64_t> next(order->offsets.begin(), order->offsets.end() - 1);
  for (int64_t i = 0; i < t * k; ++i) {
    const int64_t row = next[experts[i]]++;
    order->row_of[i] = static_cast<int32_t>(row);
    order->token_of[row] = static_cast<int32_t>(i / k);
  }
}

void GatherRows(ThreadPool& pool, const float* x, const int32_t* token_of, int64_t rows, int64_t h,
                float* out) {
  pool.ParallelFor(rows, RowsWorthSharing(h), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      std::memcpy(out + r * h, x + token_of[r] * h, h * sizeof(float));
    }
  });
}

void CombineRows(ThreadPool& pool, const float* rows, const int32_t* row_of, const float* weights,
                 int64_t t, int64_t k, int64_t h, float* y) {
  pool.ParallelFor(t, RowsWorthSharing(h * k), [&](int64_t begin, int64_t end) {
    std::fill(y + begin * h, y + end * h, 0.0f);
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t slot = i * k; slot < (i + 1) * k; ++slot) {
        isa::Kernels().add_scaled(y + i * h, rows + row_of[slot] * h, weights[slot], h);
      }
    }
  });
}

}  // namespace ponder::kernels
