// From a row of logits to a token and its log-prob.
#pragma once

#include <cstdint>

namespace ponder::kernels {

struct SamplingOptions {
  float temperature = 1;  // 0: greedy
  float top_p = 1;        // in (0, 1]; 1: no truncation
};

struct SampledToken {
  int32_t token = 0;
  // log softmax(logits / temperature)[token], before top-p: what the learner recomputes. Untempered when greedy.
  float logprob = 0;
};

// `uniform` in [0, 1) picks by inversion of the cumulative distribution, tokens in index order. `scratch` holds 2 * vocab floats.
SampledToken SampleToken(const float* logits, int64_t vocab, const SamplingOptions& options, float uniform, float* scratch);

}  // namespace ponder::kernels
