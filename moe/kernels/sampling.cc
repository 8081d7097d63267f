// Softmax, truncation to the nucleus, inversion of the cumulative distribution.
#include "moe/kernels/sampling.h"

#include <algorithm>

#include "moe/kernels/isa/table.h"
#include "moe/kernels/softmax.h"

namespace ponder::kernels {
namespace {

// The first of the greatest.
int64_t ArgMax(const float* x, int64_t n) {
  const float* best = std::find(x, x + n, isa::Kernels().max(x, n));
  return best == x + n ? 0 : best - x;  // none is equal where all are NaN
}

// Zeroes all but the fewest most probable tokens that reach top_p together (Holtzman et al. 2020);
// ties go to the lower index. Candidates above a falling threshold are gathered first: few are ever
// sorted. `order` holds `vocab` entries.
void KeepNucleus(float* probs, int64_t vocab, float top_p, int32_t* order) {
  float threshold = isa::Kernels().max(probs, vocab) / 16;
  int64_t candidates = 0;
  while (true) {
    candidates = 0;
    float sum = 0;
    for (int64_t j = 0; j < vocab; ++j) {
      if (probs[j] < threshold) continue;
      order[candidates++] = static_cast<int32_t>(j);
      sum += probs[j];
    }
    if (sum >= top_p || candidates == vocab) break;
    threshold = threshold > 1e-12f ? threshold / 16 : 0;
  }
  const auto before = [probs](int32_t a, int32_t b) {
    return probs[a] > probs[b] || (probs[a] == probs[b] && a < b);
  };
  std::sort(order, order + candidates, before);
  float sum = 0;
  int64_t kept = 0;
  while (kept < candidates && sum < top_p) sum += probs[order[kept++]];
  const int32_t last = order[kept - 1];
  const float lowest = probs[last];
  for (int64_t j = 0; j < vocab; ++j) {
    if (probs[j] < lowest || (probs[j] == lowest && j > last)) probs[j] = 0;
  }
}

// The token at which the running sum passes uniform * total; sums of blocks first, then inside the
// block.
int64_t Invert(const float* probs, int64_t vocab, float uniform) {
  constexpr int64_t kBlock = 256;
  const isa::KernelTable& kernels = isa::Kernels();
  float total = 0;
  for (int64_t j = 0; j < vocab; j += kBlock) {
    total += kernels.sum(probs + j, std::min(kBlock, vocab - j));
  }
  const float target = uniform * total;
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

}  // namespace

SampledToken SampleToken(const float* logits, int64_t vocab, const SamplingOptions& options,
                         float uniform, float* scratch) {
  const bool greedy = options.temperature == 0;
  const float temperature = greedy ? 1 : options.temperature;
  const float log_z = SoftmaxOf(logits, vocab, temperature).log_z;
  int64_t token = 0;
  if (greedy) {
    token = ArgMax(logits, vocab);
  } else {
    isa::Kernels().exp_row(logits, vocab, 1 / temperature, log_z, 1, scratch);
    if (options.top_p < 1) {
      static_assert(sizeof(int32_t) == sizeof(float), "indices share the scratch");
      KeepNucleus(scratch, vocab, options.top_p, reinterpret_cast<int32_t*>(scratch + vocab));
    }
    token = Invert(scratch, vocab, uniform);
  }
  return {static_cast<int32_t>(token), LogProb(logits, temperature, log_z, token)};
}

}  // namespace ponder::kernels
