// RoPE's frequencies and how they are stretched for longer contexts: linear, dynamic NTK, Llama 3 and
// YaRN (arXiv 2309.00071), as Hugging Face's transformers computes them. Values.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace ponder::moe {

// config.json's rope_scaling, under its names.
struct RopeScaling {
  // kDynamic changes nothing up to max_position_embeddings, and no sequence is longer.
  enum class Type { kNone, kLinear, kDynamic, kLlama3, kYarn };
  Type type = Type::kNone;
  double factor = 1;
  double original_max_position_embeddings = 0;  // 0: not given
  double low_freq_factor = 1;                   // Llama 3
  double high_freq_factor = 4;
  double beta_fast = 32;  // YaRN
  double beta_slow = 1;
  double mscale = 0;          // 0: not given
  double mscale_all_dim = 0;  // 0: not given
  double attention_factor = 0;  // 0: computed
  bool truncate = true;

  // The message names the key.
  absl::Status Validate() const;
};

struct RopeFrequencies {
  std::vector<float> inv_freq;  // [dim / 2]
  float attention_factor = 1;   // of cos and sin
};
RopeFrequencies ComputeRope(const RopeScaling& scaling, double theta, int64_t dim,
                            int64_t max_position_embeddings);

// What YaRN multiplies attention's logits by, as a factor of queries: 0.1 * mscale * ln(scale) + 1.
double YarnMscale(double scale, double mscale);

}  // namespace ponder::moe
