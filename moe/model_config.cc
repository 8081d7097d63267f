#include "moe/model_config.h"

#include <cmath>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"

namespace ponder::moe {

bool ModelConfig::IsMoeLayer(int64_t layer) const {
  return num_experts > 0 && layer >= first_k_dense_replace &&
         (layer + 1) % decoder_sparse_step == 0 && !absl::c_linear_search(mlp_only_layers, layer);
}

int64_t ModelConfig::NumMoeLayers() const {
  int64_t count = 0;
  for (int64_t layer = 0; layer < num_hidden_layers; ++layer) count += IsMoeLayer(layer);
  return count;
}

void ModelConfig::LimitPositions(int64_t positions) {
  if (positions >= max_position_embeddings) return;
  if (rope_positions == 0) rope_positions = max_position_embeddings;
  max_position_embeddings = positions;
}

kernels::AttentionShape ModelConfig::attention_shape() const {
  kernels::AttentionShape shape;
  shape.heads = num_attention_heads;
  shape.kv_heads = IsMla() ? 1 : num_key_value_heads;
  shape.head_dim = IsMla() ? kv_lora_rank + qk_rope_head_dim : head_dim;
  shape.value_dim = IsMla() ? kv_lora_rank : head_dim;
  const int64_t width = IsMla() ? qk_nope_head_dim + qk_rope_head_dim : head_dim;
  double scale = 1.0 / std::sqrt(static_cast<double>(width));
  if (IsMla() && rope_scaling.type != RopeScaling::Type::kNone && rope_scaling.mscale_all_dim > 0) {
    const double mscale = YarnMscale(rope_scaling.factor, rope_scaling.mscale_all_dim);
    scale *= mscale * mscale;
  }
  shape.scale = static_cast<float>(scale);
  return shape;
}

kernels::RouterOptions ModelConfig::router_options() const {
  kernels::RouterOptions options;
  options.num_experts = num_experts;
  options.num_experts_per_tok = num_experts_per_tok;
  options.scoring_func =
      scoring_func == "sigmoid" ? kernels::ScoringFunc::kSigmoid : kernels::ScoringFunc::kSoftmax;
  options.norm_topk_prob = norm_topk_prob;
  options.routed_scaling_factor = static_cast<float>(routed_scaling_factor);
  options.n_group = n_group;
  options.topk_group = topk_group;
  options.group_score_top2 = group_score_top2;
  return options;
}

RopeFrequencies ModelConfig::rope() const {
  return ComputeRope(rope_scaling, rope_theta, rope_dim(),
                     rope_positions > 0 ? rope_positions : max_position_embeddings);
}

ParameterCount CountParameters(const ModelConfig& config) {
  ParameterCount count;
  for (const TensorSpec& tensor : config.Layout().tensors) {
    int64_t elements = 1;
    for (int64_t dim : tensor.shape) elements *= dim;
    count.total += elements;
  }
  const int64_t expert = 3 * config.hidden_size * config.moe_intermediate_size;
  count.active = count.total - config.NumMoeLayers() *
                                   (config.num_experts - config.num_experts_per_tok) * expert;
  return count;
}

namespace {

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

struct SizeKey {
  const char* key;
  int64_t value;
};

// Far above any model, and low enough that no product of two sizes overflows.
constexpr int64_t kMaxSize = int64_t{1} << 30;

template <size_t n>
absl::Status CheckSizes(const SizeKey (&keys)[n], int64_t least) {
  for (const SizeKey& key : keys) {
    if (key.value < least || key.value > kMaxSize) {
      return Bad(key.key, " is ", key.value, ", must be from ", least, " to ", kMaxSize);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPositive(const char* key, double value) {
  if (value > 0 && std::isfinite(value)) return absl::OkStatus();
  return Bad(key, " must be more than 0");
}

absl::Status CheckAttention(const ModelConfig& c) {
  if (c.IsMla()) {
    const SizeKey sizes[] = {{"qk_nope_head_dim", c.qk_nope_head_dim},
                             {"qk_rope_head_dim", c.qk_rope_head_dim},
                             {"v_head_dim", c.v_head_dim}};
    if (absl::Status status = CheckSizes(sizes, 1); !status.ok()) return status;
    if (c.qk_norm != QkNorm::kNone) return Bad("QK-norm doesn't go with kv_lora_rank");
    if (c.clip_qkv > 0) return Bad("clip_qkv doesn't go with kv_lora_rank");
  } else {
    const SizeKey sizes[] = {{"num_key_value_heads", c.num_key_value_heads},
                             {"head_dim", c.head_dim}};
    if (absl::Status status = CheckSizes(sizes, 1); !status.ok()) return status;
    if (c.num_attention_heads % c.num_key_value_heads != 0) {
      return Bad("num_key_value_heads (", c.num_key_value_heads,
                 ") must divide num_attention_heads (", c.num_attention_heads, ")");
    }
    if (c.q_lora_rank > 0) return Bad("q_lora_rank is set, but kv_lora_rank is not");
    if (c.rope_interleave) return Bad("rope_interleave is set, but kv_lora_rank is not");
  }
  if (c.rope_dim() % 2 != 0) {
    return Bad(c.IsMla() ? "qk_rope_head_dim" : "head_dim", " is ", c.rope_dim(),
               ", must be even: RoPE rotates pairs");
  }
  if (!(c.clip_qkv >= 0) || !std::isfinite(c.clip_qkv)) return Bad("clip_qkv must be above 0");
  if (absl::Status status = CheckPositive("rope_theta", c.rope_theta); !status.ok()) return status;
  return c.rope_scaling.Validate();
}

absl::Status CheckExperts(const ModelConfig& c) {
  if (c.first_k_dense_replace > c.num_hidden_layers) {
    return Bad("first_k_dense_replace (", c.first_k_dense_replace, ") exceeds num_hidden_layers (",
               c.num_hidden_layers, ")");
  }
  if (c.decoder_sparse_step < 1) return Bad("decoder_sparse_step must be at least 1");
  for (int64_t layer : c.mlp_only_layers) {
    if (layer < 0) return Bad("mlp_only_layers lists layer ", layer);
  }
  if (c.NumMoeLayers() < c.num_hidden_layers && c.intermediate_size < 1) {
    return Bad("intermediate_size must be at least 1: there are dense layers");
  }
  if (c.scoring_func != "softmax" && c.scoring_func != "sigmoid") {
    return Bad("scoring_func is \"", c.scoring_func, "\", must be \"softmax\" or \"sigmoid\"");
  }
  if (c.num_experts == 0) {
    if (c.shared_expert_intermediate_size == 0) return absl::OkStatus();
    return Bad("shared_expert_intermediate_size is set, but num_experts is 0");
  }
  if (c.num_experts_per_tok < 1 || c.num_experts_per_tok > c.num_experts) {
    return Bad("num_experts_per_tok (", c.num_experts_per_tok, ") must be from 1 to num_experts (",
               c.num_experts, ")");
  }
  if (c.moe_intermediate_size < 1) return Bad("moe_intermediate_size must be at least 1");
  if (!std::isfinite(c.routed_scaling_factor)) return Bad("routed_scaling_factor is not a number");
  if (c.n_group < 1 || c.num_experts % c.n_group != 0) {
    return Bad("n_group (", c.n_group, ") must divide the number of experts (", c.num_experts, ")");
  }
  const int64_t group_size = c.num_experts / c.n_group;
  if (c.topk_group < 1 || c.topk_group > c.n_group) {
    return Bad("topk_group (", c.topk_group, ") must be from 1 to n_group (", c.n_group, ")");
  }
  if (c.num_experts_per_tok > c.topk_group * group_size) {
    return Bad("num_experts_per_tok (", c.num_experts_per_tok, ") exceeds the ",
               c.topk_group * group_size, " experts of topk_group groups");
  }
  if (c.group_score_top2 && c.n_group > 1 && group_size < 2) {
    return Bad("n_group (", c.n_group, ") leaves fewer than two experts a group");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ModelConfig::Validate() const {
  const SizeKey positive[] = {{"vocab_size", vocab_size},
                              {"hidden_size", hidden_size},
                              {"num_hidden_layers", num_hidden_layers},
                              {"num_attention_heads", num_attention_heads},
                              {"max_position_embeddings", max_position_embeddings}};
  if (absl::Status status = CheckSizes(positive, 1); !status.ok()) return status;
  const SizeKey countable[] = {
      {"intermediate_size", intermediate_size},
      {"first_k_dense_replace", first_k_dense_replace},
      {"num_experts", num_experts},
      {"moe_intermediate_size", moe_intermediate_size},
      {"shared_expert_intermediate_size", shared_expert_intermediate_size},
      {"num_experts_per_tok", num_experts_per_tok},
      {"kv_lora_rank", kv_lora_rank},
      {"q_lora_rank", q_lora_rank},
  };
  if (absl::Status status = CheckSizes(countable, 0); !status.ok()) return status;
  // The list of tensors must fit into memory, whatever a file claims.
  constexpr int64_t kMaxLayers = 10000;
  constexpr int64_t kMaxExperts = 1000000;  // of all layers
  if (num_hidden_layers > kMaxLayers) {
    return Bad("num_hidden_layers is ", num_hidden_layers, ", must be at most ", kMaxLayers);
  }
  if (num_experts > kMaxExperts / num_hidden_layers) {
    return Bad("num_experts (", num_experts, ") times num_hidden_layers (", num_hidden_layers,
               ") must be at most ", kMaxExperts);
  }
  if (absl::Status status = CheckAttention(*this); !status.ok()) return status;
  if (absl::Status status = CheckExperts(*this); !status.ok()) return status;
  if (absl::Status status = CheckPositive("rms_norm_eps", rms_norm_eps); !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckPositive("initializer_range", initializer_range); !status.ok()) {
    return status;
  }
  if (eos_token_id < -1 || eos_token_id >= vocab_size) {
    return Bad("eos_token_id is ", eos_token_id, ", must be below vocab_size (", vocab_size, ")");
  }
  return absl::OkStatus();
}

}  // namespace ponder::moe
