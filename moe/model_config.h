// ModelConfig: what a checkpoint's config.json says about the decoder, under Hugging Face's names.
// One decoder with options; moe/families/ maps each architecture's keys and tensor names onto it.
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
#include "moe/rope.h"

namespace ponder::moe {

constexpr char kScalarHeadWeight[] = "score.weight";  // with ModelConfig::scalar_head

enum class QkNorm {
  kNone,
  kPerHead,    // RMSNorm of each head's query and key (Qwen3)
  kFullWidth,  // of all heads together (OLMoE)
};

struct ModelConfig {
  // The family's, of Hugging Face's; decides the names in files. See moe/families/family.h.
  std::string architecture = "Qwen3MoeForCausalLM";

  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;  // of dense layers
  bool mlp_bias = false;          // of dense layers
  bool tie_word_embeddings = false;
  bool scalar_head = false;  // one number a token (score.weight) instead of logits: Hugging Face's
                             // ...ForSequenceClassification with num_labels 1
  double rms_norm_eps = 1e-6;
  int64_t max_position_embeddings = 0;
  double initializer_range = 0.02;
  int32_t eos_token_id = 0;                 // the first of several; -1: none
  std::vector<int32_t> more_eos_token_ids;  // the others

  // Attention.
  bool attention_bias = false;         // of the projections to q, k, v (of MLA: q_a and kv_a)
  bool attention_output_bias = false;  // of o_proj
  QkNorm qk_norm = QkNorm::kPerHead;
  double clip_qkv = 0;  // q, k and v are clamped to +-this; 0: not
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  // The file's max_position_embeddings, for RoPE's formulas, where a sliding window made ours
  // smaller: within the window attention is whole, and longer sequences are refused. 0: the same.
  int64_t rope_positions = 0;

  // Multi-head latent attention (arXiv 2405.04434) when kv_lora_rank > 0; then head_dim is unused.
  int64_t kv_lora_rank = 0;
  int64_t q_lora_rank = 0;  // 0: one projection to the queries
  int64_t qk_nope_head_dim = 0;
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
  bool rope_interleave = false;  // RoPE turns pairs (2i, 2i + 1), not (i, i + dim / 2)

  // Mixture of experts. num_experts 0: every layer is dense.
  int64_t num_experts = 0;
  int64_t num_experts_per_tok = 0;
  int64_t moe_intermediate_size = 0;
  int64_t first_k_dense_replace = 0;            // leading dense layers
  int64_t decoder_sparse_step = 1;              // layers other than each step-th are dense
  std::vector<int64_t> mlp_only_layers;         // dense layers, ascending
  int64_t shared_expert_intermediate_size = 0;  // 0: none
  bool shared_expert_gate = true;               // sigmoid gate on the shared expert (Qwen2-MoE)
  std::string scoring_func = "softmax";         // or "sigmoid"
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1;
  bool router_selection_bias = false;  // e_score_correction_bias takes part in the choice
  int64_t n_group = 1;
  int64_t topk_group = 1;
  bool group_score_top2 = false;  // a group scores as the sum of its two best experts

  // Elements that share a scale in files of FP8 weights: quantization_config.weight_block_size.
  int64_t fp8_block_rows = 128;
  int64_t fp8_block_columns = 128;

  // The config.json that this came from, its dtype set to float32, unknown keys and all; empty for
  // a config made here.
  std::string source_json;

  bool IsMoeLayer(int64_t layer) const;
  int64_t NumMoeLayers() const;
  bool IsMla() const { return kv_lora_rank > 0; }
  // Takes no sequence longer than `positions`, which costs tables and caches less. The numbers
  // stay.
  void LimitPositions(int64_t positions);
  // MLA runs absorbed: every query head reads the one latent [c_KV; k^R] as its key, c_KV as value.
  kernels::AttentionShape attention_shape() const;
  kernels::RouterOptions router_options() const;
  int64_t rope_dim() const { return IsMla() ? qk_rope_head_dim : head_dim; }
  RopeFrequencies rope() const;
  float norm_eps() const { return static_cast<float>(rms_norm_eps); }
  // Of MLA's norms of the latents: not rms_norm_eps (transformers' DeepSeek).
  static constexpr float kLatentNormEps = 1e-6f;

  // Every cross-field constraint; the message names the key.
  absl::Status Validate() const;
  // To and from config.json, by the family that its `architectures` name. `path` is for messages.
  // A key that asks for arithmetic which is not here is refused by name; keys that don't matter are
  // kept and written back.
  std::string ToJson() const;
  static absl::StatusOr<ModelConfig> FromJson(const std::string& json, const std::string& path);

  // Every tensor of the model in the order of the forward pass, under the decoder's own names
  // (those of Qwen2-MoE and DeepSeek's MLA); byte ranges laid out contiguously as `dtype`. Linear
  // weights are [out, in].
  WeightManifest Layout(DType dtype = DType::kF32) const;
};

// Exact, from the shapes alone: 30,532,122,624 for Qwen3-30B-A3B.
struct ParameterCount {
  int64_t total = 0;
  // All but the routed experts that a token does not visit; embeddings count whole.
  int64_t active = 0;
};
ParameterCount CountParameters(const ModelConfig& config);

}  // namespace ponder::moe
