#include "moe/model_config.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ponder::moe {
namespace {

// Appends tensors one after another, as `dtype`.
class LayoutBuilder {
 public:
  explicit LayoutBuilder(DType dtype) : dtype_(dtype) {}
  void Add(std::string name, std::vector<int64_t> shape) {
    TensorSpec spec;
    spec.name = std::move(name);
    spec.dtype = dtype_;
    spec.begin = manifest_.total_bytes;
    uint64_t elements = 1;
    for (int64_t dim : shape) elements *= static_cast<uint64_t>(dim);
    spec.end = spec.begin + elements * static_cast<uint64_t>(DTypeSize(dtype_));
    spec.shape = std::move(shape);
    manifest_.total_bytes = spec.end;
    manifest_.tensors.push_back(std::move(spec));
  }
  void AddMlp(const std::string& prefix, int64_t hidden, int64_t intermediate) {
    Add(prefix + "gate_proj.weight", {intermediate, hidden});
    Add(prefix + "up_proj.weight", {intermediate, hidden});
    Add(prefix + "down_proj.weight", {hidden, intermediate});
  }
  WeightManifest Build() { return std::move(manifest_); }

 private:
  const DType dtype_;
  WeightManifest manifest_;
};

}  // namespace

kernels::AttentionShape ModelConfig::attention_shape() const {
  kernels::AttentionShape shape;
  shape.heads = num_attention_heads;
  shape.kv_heads = num_key_value_heads;
  shape.head_dim = head_dim;
  shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  return shape;
}

kernels::RouterOptions ModelConfig::router_options() const {
  kernels::RouterOptions options;
  options.num_experts = num_experts;
  options.num_experts_per_tok = num_experts_per_tok;
  options.scoring_func =
      scoring_func == "sigmoid" ? kernels::ScoringFunc::kSigmoid : kernels::ScoringFunc::kSoftmax;
  options.norm_topk_prob = norm_topk_prob;
  return options;
}

std::vector<float> ModelConfig::rope_inv_freq() const {
  std::vector<float> inv_freq(static_cast<size_t>(head_dim / 2));
  for (size_t i = 0; i < inv_freq.size(); ++i) {
    inv_freq[i] =
        static_cast<float>(std::pow(rope_theta, -2.0 * static_cast<double>(i) / head_dim));
  }
  return inv_freq;
}

absl::Status ModelConfig::Validate() const {
  // Far above any model, and low enough that no product of two sizes overflows.
  constexpr int64_t kMaxSize = int64_t{1} << 30;
  const std::pair<const char*, int64_t> positive[] = {
      {"vocab_size", vocab_size},
      {"hidden_size", hidden_size},
      {"num_hidden_layers", num_hidden_layers},
      {"num_attention_heads", num_attention_heads},
      {"num_key_value_heads", num_key_value_heads},
      {"head_dim", head_dim},
      {"max_position_embeddings", max_position_embeddings},
  };
  const auto bad = [](auto&&... parts) {
    return absl::InvalidArgumentError(absl::StrCat(parts...));
  };
  for (const auto& [key, value] : positive) {
    if (value < 1 || value > kMaxSize)
      return bad(key, " is ", value, ", must be from 1 to ", kMaxSize);
  }
  const std::pair<const char*, int64_t> countable[] = {
      {"intermediate_size", intermediate_size},
      {"first_k_dense_replace", first_k_dense_replace},
      {"num_experts", num_experts},
      {"moe_intermediate_size", moe_intermediate_size},
      {"shared_expert_intermediate_size", shared_expert_intermediate_size},
      {"num_experts_per_tok", num_experts_per_tok},
  };
  for (const auto& [key, value] : countable) {
    if (value < 0 || value > kMaxSize)
      return bad(key, " is ", value, ", must be from 0 to ", kMaxSize);
  }
  if (head_dim % 2 != 0) return bad("head_dim is ", head_dim, ", must be even: RoPE rotates pairs");
  if (num_attention_heads % num_key_value_heads != 0) {
    return bad("num_key_value_heads (", num_key_value_heads, ") must divide num_attention_heads (",
               num_attention_heads, ")");
  }
  if (first_k_dense_replace > num_hidden_layers) {
    return bad("first_k_dense_replace (", first_k_dense_replace, ") exceeds num_hidden_layers (",
               num_hidden_layers, ")");
  }
  if (num_experts > 0) {
    if (num_experts_per_tok < 1 || num_experts_per_tok > num_experts) {
      return bad("num_experts_per_tok (", num_experts_per_tok, ") must be from 1 to num_experts (",
                 num_experts, ")");
    }
    if (moe_intermediate_size < 1) return bad("moe_intermediate_size must be at least 1");
  } else if (shared_expert_intermediate_size > 0) {
    return bad("shared_expert_intermediate_size is set, but num_experts is 0");
  }
  if ((num_experts == 0 || first_k_dense_replace > 0) && intermediate_size < 1) {
    return bad("intermediate_size must be at least 1: there are dense layers");
  }
  if (scoring_func != "softmax" && scoring_func != "sigmoid") {
    return bad("scoring_func is \"", scoring_func, "\", must be \"softmax\" or \"sigmoid\"");
  }
  if (!(rope_theta > 0) || !std::isfinite(rope_theta)) return bad("rope_theta must be more than 0");
  if (!(rms_norm_eps > 0) || !std::isfinite(rms_norm_eps))
    return bad("rms_norm_eps must be more than 0");
  if (!(initializer_range > 0) || !std::isfinite(initializer_range)) {
    return bad("initializer_range must be more than 0");
  }
  if (eos_token_id < 0 || eos_token_id >= vocab_size) {
    return bad("eos_token_id is ", eos_token_id, ", must be below vocab_size (", vocab_size, ")");
  }
  return absl::OkStatus();
}

WeightManifest ModelConfig::Layout(DType dtype) const {
  LayoutBuilder layout(dtype);
  layout.Add("model.embed_tokens.weight", {vocab_size, hidden_size});
  for (int64_t layer = 0; layer < num_hidden_layers; ++layer) {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    layout.Add(prefix + "input_layernorm.weight", {hidden_size});
    layout.Add(prefix + "self_attn.q_proj.weight", {num_attention_heads * head_dim, hidden_size});
    layout.Add(prefix + "self_attn.k_proj.weight", {num_key_value_heads * head_dim, hidden_size});
    layout.Add(prefix + "self_attn.v_proj.weight", {num_key_value_heads * head_dim, hidden_size});
    if (use_qk_norm) {
      layout.Add(prefix + "self_attn.q_norm.weight", {head_dim});
      layout.Add(prefix + "self_attn.k_norm.weight", {head_dim});
    }
    layout.Add(prefix + "self_attn.o_proj.weight", {hidden_size, num_attention_heads * head_dim});
    layout.Add(prefix + "post_attention_layernorm.weight", {hidden_size});
    if (!IsMoeLayer(layer)) {
      layout.AddMlp(prefix + "mlp.", hidden_size, intermediate_size);
      continue;
    }
    layout.Add(prefix + "mlp.gate.weight", {num_experts, hidden_size});
    for (int64_t expert = 0; expert < num_experts; ++expert) {
      layout.AddMlp(absl::StrCat(prefix, "mlp.experts.", expert, "."), hidden_size,
                    moe_intermediate_size);
    }
    if (shared_expert_intermediate_size > 0) {
      layout.AddMlp(prefix + "mlp.shared_expert.", hidden_size, shared_expert_intermediate_size);
      layout.Add(prefix + "mlp.shared_expert_gate.weight", {1, hidden_size});
    }
  }
  layout.Add("model.norm.weight", {hidden_size});
  if (!tie_word_embeddings) layout.Add("lm_head.weight", {vocab_size, hidden_size});
  return layout.Build();
}

ParameterCount CountParameters(const ModelConfig& config) {
  const int64_t h = config.hidden_size;
  const int64_t heads =
      2 * config.num_attention_heads + 2 * config.num_key_value_heads;  // q, o; k, v
  const int64_t qk_norm = config.use_qk_norm ? 2 * config.head_dim : 0;
  const int64_t every_layer = heads * config.head_dim * h + qk_norm + 2 * h;
  const int64_t moe_layers =
      config.num_experts > 0 ? config.num_hidden_layers - config.first_k_dense_replace : 0;
  const int64_t shared = config.shared_expert_intermediate_size > 0
                             ? 3 * h * config.shared_expert_intermediate_size + h
                             : 0;
  const int64_t expert = 3 * h * config.moe_intermediate_size;

  ParameterCount count;
  count.total = (config.tie_word_embeddings ? 1 : 2) * config.vocab_size * h + h +
                config.num_hidden_layers * every_layer +
                (config.num_hidden_layers - moe_layers) * 3 * h * config.intermediate_size +
                moe_layers * (config.num_experts * (h + expert) + shared);
  count.active =
      count.total - moe_layers * (config.num_experts - config.num_experts_per_tok) * expert;
  return count;
}

}  // namespace ponder::moe
