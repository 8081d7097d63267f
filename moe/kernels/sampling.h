// From a row of logits to a token and its log-probs.
//
// The distribution that a token is drawn from is made in this order: repetition penalty, logit
// bias, temperature, min-p, top-k, top-p; each truncation looks at what the one before it left.
// Whatever is on, `logprob` is that of the policy that is trained: softmax(logits / temperature).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace ponder::kernels {

struct SamplingOptions {
  float temperature = 1;  // 0: greedy, after penalty and bias
  float top_p = 1;        // in (0, 1]: the fewest likeliest tokens that reach it; 1: no truncation
  int64_t top_k = 0;      // the k likeliest tokens; 0: no truncation
  float min_p = 0;        // in [0, 1): tokens at least so likely, relative to the likeliest
  // Above 0; 1: none. The logits of tokens seen before, in prompt or response, are divided by it
  // where positive, else multiplied (Keskar et al., arXiv 1909.05858).
  float repetition_penalty = 1;
  // (token, what is added to its logit)
  std::vector<std::pair<int32_t, float>> logit_bias = {};

  bool adjusts() const { return repetition_penalty != 1 || !logit_bias.empty(); }
  bool truncates() const { return top_p < 1 || top_k > 0 || min_p > 0; }
};

struct SampledToken {
  int32_t token = 0;
  // log softmax(logits / temperature)[token], before penalty, bias and truncation: what the learner
  // recomputes. Untempered when greedy.
  float logprob = 0;
  // log softmax(logits)[token].
  float untempered_logprob = 0;
  // Of the distribution that it was drawn from; 0 when greedy or forced.
  float drawn_logprob = 0;
};

// `uniform` in [0, 1) picks by inversion of the cumulative distribution, tokens in index order.
// `seen`: the tokens so far, for the repetition penalty. `scratch` holds 2 * vocab floats, 3 *
// vocab where options.adjusts().
SampledToken SampleToken(const float* logits, int64_t vocab, const SamplingOptions& options,
                         float uniform, float* scratch, absl::Span<const int32_t> seen = {});
// A token that is given, not drawn.
SampledToken ForceToken(const float* logits, int64_t vocab, const SamplingOptions& options,
                        int32_t token);

// The likeliest tokens of softmax(logits), best first, ties to the lower index; replaces `top`,
// whose size says how many.
void TopTokens(const float* logits, int64_t vocab, absl::Span<std::pair<int32_t, float>> top);

}  // namespace ponder::kernels
