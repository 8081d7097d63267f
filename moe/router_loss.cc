// See router_loss.h.
#include "moe/router_loss.h"

#include <algorithm>
#include <cmath>

namespace ponder::moe {
namespace {

// Scratch of one sequence. [E] each.
struct Row {
  explicit Row(size_t experts) : p(experts), softmax(experts), scores(experts) {}
  std::vector<double> p, softmax, scores;
  double log_z = 0;

  void Read(const kernels::RouterOptions& options, const float* logits_E) {
    const double top = *std::max_element(logits_E, logits_E + p.size());
    double sum = 0;
    for (size_t e = 0; e < p.size(); ++e) sum += softmax[e] = std::exp(logits_E[e] - top);
    log_z = top + std::log(sum);
    for (double& share : softmax) share /= sum;
    if (options.scoring_func == kernels::ScoringFunc::kSoftmax) {
      p = softmax;
      return;
    }
    double scored = 0;
    for (size_t e = 0; e < p.size(); ++e) scored += scores[e] = 1 / (1 + std::exp(-logits_E[e]));
    for (size_t e = 0; e < p.size(); ++e) p[e] = scores[e] / scored;
  }
};

}  // namespace

RouterLossSums AddRouterLoss(const kernels::RouterOptions& options, const RouterLoss& loss,
                             const double* load, absl::Span<const int64_t> starts,
                             const float* logits, const int32_t* experts, kernels::ThreadPool& pool,
                             float* dlogits) {
  const int64_t num_experts = options.num_experts;
  const int64_t chosen = options.num_experts_per_tok;
  const int64_t sequences = static_cast<int64_t>(starts.size()) - 1;
  const bool sigmoid = options.scoring_func == kernels::ScoringFunc::kSigmoid;
  std::vector<RouterLossSums> sums(sequences);
  pool.ParallelFor(sequences, 1, [&](int64_t first, int64_t last) {
    Row row(num_experts);
    // The gradient of the balance losses with regard to p_i of a token of the sequence.
    std::vector<double> slope(num_experts);
    for (int64_t s = first; s < last; ++s) {
      const int64_t tokens = starts[s + 1] - starts[s];
      if (tokens == 0) continue;
      std::fill(slope.begin(), slope.end(), 0.0);
      if (loss.per_sequence != 0) {
        for (int64_t i = starts[s] * chosen; i < starts[s + 1] * chosen; ++i)
          slope[experts[i]] += 1;
        const double share = static_cast<double>(num_experts) / (chosen * tokens);
        for (double& of_expert : slope) of_expert *= share * loss.per_sequence / tokens;
      }
      if (loss.per_token != 0) {
        for (int64_t e = 0; e < num_experts; ++e) slope[e] += loss.per_token * load[e];
      }
      for (int64_t t = starts[s]; t < starts[s + 1]; ++t) {
        row.Read(options, logits + t * num_experts);
        double mean = 0;
        for (int64_t e = 0; e < num_experts; ++e) mean += slope[e] * row.p[e];
        sums[s].balance += mean;
        sums[s].z += loss.z_per_token * row.log_z * row.log_z;
        for (int64_t e = 0; e < num_experts; ++e) {
          double d = row.p[e] * (slope[e] - mean);
          if (sigmoid) d *= 1 - row.scores[e];
          d += 2 * loss.z_per_token * row.log_z * row.softmax[e];
          dlogits[t * num_experts + e] += static_cast<float>(d);
        }
      }
    }
  });
  RouterLossSums total;
  for (const RouterLossSums& of_sequence : sums) {
    total.balance += of_sequence.balance;
    total.z += of_sequence.z;
  }
  return total;
}

std::vector<std::vector<double>> LoadOf(const std::vector<std::vector<int64_t>>& expert_tokens) {
  std::vector<std::vector<double>> load;
  for (const std::vector<int64_t>& counts : expert_tokens) {
    int64_t all = 0;
    for (const int64_t count : counts) all += count;
    load.emplace_back(counts.size(), 0.0);
    for (size_t e = 0; e < counts.size() && all > 0; ++e) {
      load.back()[e] = static_cast<double>(counts[e]) * counts.size() / all;
    }
  }
  return load;
}

}  // namespace ponder::moe
