// Softmax, truncation, inversion of the cumulative distribution.
#include "moe/kernels/sampling.h"

#include <algorithm>
#include <cmath>

#include "moe/kernels/isa/table.h"
#include "moe/kernels/softmax.h"

namespace ponder::kernels {
namespace {

// The first of the greatest.
int64_t ArgMax(const float* x, int64_t n) {
  const float* best = std::find(x, x + n, isa::Kernels().max(x, n));
  return best == x + n ? 0 : best - x;  // none is equal where all are NaN
}

// Zeroes what min-p, top-k and top-p leave out, in this order; ties go to the lower index.
// Candidates above a falling threshold are gathered first: few are ever sorted. `order` holds
// `vocab` entries.
void Truncate(const SamplingOptions& options, float* probs, int64_t vocab, int32_t* order) {
  const float best = isa::Kernels().max(probs, vocab);
  const float floor = options.min_p * best;
  const int64_t k = options.top_k > 0 ? std::min(options.top_k, vocab) : vocab;
  // Without min-p and top-k, top-p is of the whole and needs no sum of what they left.
  const bool nucleus_alone = options.min_p == 0 && k == vocab;
  float threshold = std::max(best / 16, floor);
  int64_t candidates = 0;
  while (true) {
    candidates = 0;
    float sum = 0;
    for (int64_t j = 0; j < vocab; ++j) {
      if (probs[j] < threshold) continue;
      order[candidates++] = static_cast<int32_t>(j);
      sum += probs[j];
    }
    const bool enough = nucleus_alone ? sum >= options.top_p : candidates >= k;
    if (enough || threshold <= floor || candidates == vocab) break;
    threshold = threshold > 1e-12f ? std::max(threshold / 16, floor) : floor;
  }
  const auto before = [probs](int32_t a, int32_t b) {
    return probs[a] > probs[b] || (probs[a] == probs[b] && a < b);
  };
  std::sort(order, order + candidates, before);
  candidates = std::min(candidates, k);
  int64_t kept = candidates;
  if (options.top_p < 1) {
    float reach = options.top_p;
    if (!nucleus_alone) {
      float left = 0;
      for (int64_t i = 0; i < candidates; ++i) left += probs[order[i]];
      reach *= left;
    }
    float sum = 0;
    for (kept = 0; kept < candidates && sum < reach;) sum += probs[order[kept++]];
  }
  const int32_t last = order[std::max<int64_t>(kept, 1) - 1];
  const float lowest = probs[last];
  for (int64_t j = 0; j < vocab; ++j) {
    if (probs[j] < lowest || (probs[j] == lowest && j > last)) probs[j] = 0;
  }
}

// Logits after penalty and bias.
void Adjust(const SamplingOptions& options, const float* logits, int64_t vocab,
            absl::Span<const int32_t> seen, float* adjusted) {
  std::copy(logits, logits + vocab, adjusted);
  if (options.repetition_penalty != 1) {
    for (const int32_t token : seen) {
      const float logit = logits[token];
      adjusted[token] =
          logit > 0 ? logit / options.repetition_penalty : logit * options.repetition_penalty;
    }
  }
  for (const auto& [token, bias] : options.logit_bias) adjusted[token] += bias;
}

// The token at which the running sum passes uniform * total; sums of blocks first, then inside the
// block.
int64_t Invert(const float* probs, int64_t vocab, float uniform, float* total) {
  constexpr int64_t kBlock = 256;
  const isa::KernelTable& kernels = isa::Kernels();
  *total = 0;
  for (int64_t j = 0; j < vocab; j += kBlock) {
    *total += kernels.sum(probs + j, std::min(kBlock, vocab - j));
  }
  const float target = uniform * *total;
  float sum = 0;
  for (int64_t j = 0; j < vocab; j += kBlock) {
    const int64_t end = std::min(vocab, j + kBlock);
    const float with_block = sum + kernels.sum(probs + j, end - j);
    if (with_block > target) {
      int64_t last = j;  // of positive probability: rounding may leave the target just out of reach
      for (int64_t i = j; i < end && sum <= target; ++i) {
        if (probs[i] > 0) last = i;
        sum += probs[i];
      }
      return last;
    }
    sum = with_block;
  }
  int64_t last = vocab - 1;
  while (last > 0 && !(probs[last] > 0)) --last;
  return last;
}

// The log-probs of the policy itself.
SampledToken OfPolicy(const float* logits, int64_t vocab, float temperature, float log_z,
                      int64_t token) {
  SampledToken sampled;
  sampled.token = static_cast<int32_t>(token);
  sampled.logprob = LogProb(logits, temperature, log_z, token);
  sampled.untempered_logprob = temperature == 1
                                   ? sampled.logprob
                                   : LogProb(logits, 1, SoftmaxOf(logits, vocab, 1).log_z, token);
  return sampled;
}

}  // namespace

SampledToken SampleToken(const float* logits, int64_t vocab, const SamplingOptions& options,
                         float uniform, float* scratch, absl::Span<const int32_t> seen) {
  const bool greedy = options.temperature == 0;
  const float temperature = greedy ? 1 : options.temperature;
  const float log_z = SoftmaxOf(logits, vocab, temperature).log_z;
  const float* drawn_from = logits;
  float drawn_log_z = log_z;
  if (options.adjusts()) {
    Adjust(options, logits, vocab, seen, scratch + 2 * vocab);
    drawn_from = scratch + 2 * vocab;
    drawn_log_z = SoftmaxOf(drawn_from, vocab, temperature).log_z;
  }
  if (greedy) return OfPolicy(logits, vocab, temperature, log_z, ArgMax(drawn_from, vocab));
  isa::Kernels().exp_row(drawn_from, vocab, 1 / temperature, drawn_log_z, 1, scratch);
  if (options.truncates()) {
    static_assert(sizeof(int32_t) == sizeof(float), "indices share the scratch");
    Truncate(options, scratch, vocab, reinterpret_cast<int32_t*>(scratch + vocab));
  }
  float total = 0;
  const int64_t token = Invert(scratch, vocab, uniform, &total);
  SampledToken sampled = OfPolicy(logits, vocab, temperature, log_z, token);
  sampled.drawn_logprob = sampled.logprob;
  if (options.truncates() || options.adjusts()) {
    sampled.drawn_logprob = LogProb(drawn_from, temperature, drawn_log_z, token) - std::log(total);
  }
  return sampled;
}

SampledToken ForceToken(const float* logits, int64_t vocab, const SamplingOptions& options,
                        int32_t token) {
  const float temperature = options.temperature == 0 ? 1 : options.temperature;
  return OfPolicy(logits, vocab, temperature, SoftmaxOf(logits, vocab, temperature).log_z, token);
}

void TopTokens(const float* logits, int64_t vocab, absl::Span<std::pair<int32_t, float>> top) {
  const int64_t wanted = std::min<int64_t>(static_cast<int64_t>(top.size()), vocab);
  if (wanted == 0) return;
  // Sorted, best first; of equal logits the one that came first stays ahead.
  int64_t held = 0;
  for (int64_t j = 0; j < vocab; ++j) {
    if (held == wanted && !(logits[j] > top[held - 1].second)) continue;
    int64_t at = held < wanted ? held++ : wanted - 1;
    for (; at > 0 && logits[j] > top[at - 1].second; --at) top[at] = top[at - 1];
    top[at] = {static_cast<int32_t>(j), logits[j]};
  }
  const float log_z = SoftmaxOf(logits, vocab, 1).log_z;
  for (int64_t i = 0; i < wanted; ++i) top[i].second = LogProb(logits, 1, log_z, top[i].first);
}

}  // namespace ponder::kernels
