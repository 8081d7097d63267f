// ModelConfig::Layout: the decoder's tensors.
#include <utility>

#include "absl/strings/str_cat.h"
#include "moe/model_config.h"

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
  // `prefix`.weight [out, in] and, with a bias, `prefix`.bias [out].
  void AddLinear(const std::string& prefix, int64_t out, int64_t in, bool bias = false) {
    Add(prefix + ".weight", {out, in});
    if (bias) Add(prefix + ".bias", {out});
  }
  void AddMlp(const std::string& prefix, int64_t hidden, int64_t intermediate, bool bias = false) {
    AddLinear(prefix + "gate_proj", intermediate, hidden, bias);
    AddLinear(prefix + "up_proj", intermediate, hidden, bias);
    AddLinear(prefix + "down_proj", hidden, intermediate, bias);
  }
  WeightManifest Build() { return std::move(manifest_); }

 private:
  const DType dtype_;
  WeightManifest manifest_;
};

void AddGroupedQueryAttention(const ModelConfig& c, const std::string& attn,
                              LayoutBuilder* layout) {
  const int64_t q_width = c.num_attention_heads * c.head_dim;
  const int64_t kv_width = c.num_key_value_heads * c.head_dim;
  layout->AddLinear(attn + "q_proj", q_width, c.hidden_size, c.attention_bias);
  layout->AddLinear(attn + "k_proj", kv_width, c.hidden_size, c.attention_bias);
  layout->AddLinear(attn + "v_proj", kv_width, c.hidden_size, c.attention_bias);
  if (c.qk_norm != QkNorm::kNone) {
    const bool full = c.qk_norm == QkNorm::kFullWidth;
    layout->Add(attn + "q_norm.weight", {full ? q_width : c.head_dim});
    layout->Add(attn + "k_norm.weight", {full ? kv_width : c.head_dim});
  }
  layout->AddLinear(attn + "o_proj", c.hidden_size, q_width, c.attention_output_bias);
}

void AddLatentAttention(const ModelConfig& c, const std::string& attn, LayoutBuilder* layout) {
  const int64_t heads = c.num_attention_heads;
  const int64_t q_width = heads * (c.qk_nope_head_dim + c.qk_rope_head_dim);
  if (c.q_lora_rank > 0) {
    layout->AddLinear(attn + "q_a_proj", c.q_lora_rank, c.hidden_size, c.attention_bias);
    layout->Add(attn + "q_a_layernorm.weight", {c.q_lora_rank});
    layout->AddLinear(attn + "q_b_proj", q_width, c.q_lora_rank);
  } else {
    layout->AddLinear(attn + "q_proj", q_width, c.hidden_size);
  }
  layout->AddLinear(attn + "kv_a_proj_with_mqa", c.kv_lora_rank + c.qk_rope_head_dim, c.hidden_size,
                    c.attention_bias);
  layout->Add(attn + "kv_a_layernorm.weight", {c.kv_lora_rank});
  layout->AddLinear(attn + "kv_b_proj", heads * (c.qk_nope_head_dim + c.v_head_dim),
                    c.kv_lora_rank);
  layout->AddLinear(attn + "o_proj", c.hidden_size, heads * c.v_head_dim, c.attention_output_bias);
}

void AddExperts(const ModelConfig& c, const std::string& mlp, LayoutBuilder* layout) {
  layout->Add(mlp + "gate.weight", {c.num_experts, c.hidden_size});
  if (c.router_selection_bias) layout->Add(mlp + "gate.e_score_correction_bias", {c.num_experts});
  for (int64_t expert = 0; expert < c.num_experts; ++expert) {
    layout->AddMlp(absl::StrCat(mlp, "experts.", expert, "."), c.hidden_size,
                   c.moe_intermediate_size);
  }
  if (c.shared_expert_intermediate_size == 0) return;
  layout->AddMlp(mlp + "shared_expert.", c.hidden_size, c.shared_expert_intermediate_size);
  if (c.shared_expert_gate) layout->Add(mlp + "shared_expert_gate.weight", {1, c.hidden_size});
}

}  // namespace

WeightManifest ModelConfig::Layout(DType dtype) const {
  LayoutBuilder layout(dtype);
  layout.Add("model.embed_tokens.weight", {vocab_size, hidden_size});
  for (int64_t layer = 0; layer < num_hidden_layers; ++layer) {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    layout.Add(prefix + "input_layernorm.weight", {hidden_size});
    if (IsMla()) {
      AddLatentAttention(*this, prefix + "self_attn.", &layout);
    } else {
      AddGroupedQueryAttention(*this, prefix + "self_attn.", &layout);
    }
    layout.Add(prefix + "post_attention_layernorm.weight", {hidden_size});
    if (IsMoeLayer(layer)) {
      AddExperts(*this, prefix + "mlp.", &layout);
    } else {
      layout.AddMlp(prefix + "mlp.", hidden_size, intermediate_size, mlp_bias);
    }
  }
  layout.Add("model.norm.weight", {hidden_size});
  if (scalar_head) {
    layout.Add(kScalarHeadWeight, {1, hidden_size});
  } else if (!tie_word_embeddings) {
    layout.Add("lm_head.weight", {vocab_size, hidden_size});
  }
  return layout.Build();
}

}  // namespace ponder::moe
