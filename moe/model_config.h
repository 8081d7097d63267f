// ModelConfig: what a checkpoint's config.json says about the decoder, under Hugging Face's names.
// A value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "moe/kernels/attention.h"
#include "moe/kernels/routing.h"

namespace ponder::moe {

struct ModelConfig {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;      // of dense layers
  int64_t first_k_dense_replace = 0;  // leading dense layers
  int64_t num_experts = 0;            // 0: every layer is dense
  int64_t num_experts_per_tok = 0;
  int64_t moe_intermediate_size = 0;
  int64_t shared_expert_intermediate_size = 0;  // 0: none
  std::string scoring_func = "softmax";         // or "sigmoid"
  bool norm_topk_prob = true;
  bool use_qk_norm = true;
  bool tie_word_embeddings = false;
  double rope_theta = 10000;
  double rms_norm_eps = 1e-6;
  int64_t max_position_embeddings = 0;
  double initializer_range = 0.02;
  int32_t eos_token_id = 0;

  bool IsMoeLayer(int64_t layer) const { return num_experts > 0 && layer >= first_k_dense_replace; }
  kernels::AttentionShape attention_shape() const;
  kernels::RouterOptions router_options() const;
  // RoPE's rope_theta^(-2i / head_dim) for i in [0, head_dim / 2).
  std::vector<float> rope_inv_freq() const;

  // Every cross-field constraint; the message names the key.
  absl::Status Validate() const;
  // To and from config.json in the layout of Qwen3MoeForCausalLM (`mlp_only_layers` lists the dense
  // layers; what that class lacks is written under the names that DeepSeek or Qwen2-MoE use).
  // `path` is for messages. A value of a known key that asks for arithmetic which is not here
  // (biases, RoPE scaling, sliding window, another activation) is refused.
  std::string ToJson() const;
  static absl::StatusOr<ModelConfig> FromJson(const std::string& json, const std::string& path);

  // Every tensor of the model, Hugging Face names, in the order of the forward pass; byte ranges
  // laid out contiguously as `dtype`. Linear weights are [out, in].
  WeightManifest Layout(DType dtype = DType::kF32) const;
};

// Exact, from the shapes alone: 30,532,122,624 for Qwen3-30B-A3B.
struct ParameterCount {
  int64_t total = 0;
  int64_t active =
      0;  // all but the routed experts that a token does not visit; embeddings count whole
};
ParameterCount CountParameters(const ModelConfig& config);

}  // namespace ponder::moe
