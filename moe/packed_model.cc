#include "moe/packed_model.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "moe/inference.h"
#include "moe/kernels/elementwise.h"

namespace ponder::moe {

using kernels::PackedMatrix;
using kernels::ThreadPool;

namespace {

// Reads tensors of one model; the first failure is kept.
class Packer {
 public:
  Packer(ThreadPool& pool, const Weights& weights) : pool_(pool), weights_(weights) {}

  const float* Raw(const std::string& name) {
    const auto tensor = weights_.F32(name);
    if (tensor.ok()) return tensor->data();
    if (status_.ok()) status_ = tensor.status();
    return nullptr;
  }
  // A linear weight [out, in] as B [in, out].
  void Linear(const std::string& name, int64_t in, int64_t out, PackedMatrix* matrix) {
    const float* source = Raw(name);
    if (source != nullptr) matrix->Pack(pool_, source, in, out, /*k_stride=*/1, /*n_stride=*/in);
  }
  void Mlp(const std::string& prefix, int64_t hidden, int64_t intermediate, PackedMlp* mlp) {
    Linear(prefix + "gate_proj.weight", hidden, intermediate, &mlp->gate);
    Linear(prefix + "up_proj.weight", hidden, intermediate, &mlp->up);
    Linear(prefix + "down_proj.weight", intermediate, hidden, &mlp->down);
  }
  const absl::Status& status() const { return status_; }

 private:
  ThreadPool& pool_;
  const Weights& weights_;
  absl::Status status_;
};

void PackLayer(const ModelConfig& config, int64_t index, Packer& packer, PackedLayer* layer) {
  const int64_t h = config.hidden_size;
  const int64_t q_out = config.num_attention_heads * config.head_dim;
  const int64_t kv_out = config.num_key_value_heads * config.head_dim;
  const std::string prefix = absl::StrCat("model.layers.", index, ".");
  layer->input_layernorm = packer.Raw(prefix + "input_layernorm.weight");
  packer.Linear(prefix + "self_attn.q_proj.weight", h, q_out, &layer->q);
  packer.Linear(prefix + "self_attn.k_proj.weight", h, kv_out, &layer->k);
  packer.Linear(prefix + "self_attn.v_proj.weight", h, kv_out, &layer->v);
  if (config.use_qk_norm) {
    layer->q_norm = packer.Raw(prefix + "self_attn.q_norm.weight");
    layer->k_norm = packer.Raw(prefix + "self_attn.k_norm.weight");
  }
  packer.Linear(prefix + "self_attn.o_proj.weight", q_out, h, &layer->o);
  layer->post_attention_layernorm = packer.Raw(prefix + "post_attention_layernorm.weight");
  if (!config.IsMoeLayer(index)) {
    packer.Mlp(prefix + "mlp.", h, config.intermediate_size, &layer->dense);
    return;
  }
  packer.Linear(prefix + "mlp.gate.weight", h, config.num_experts, &layer->router);
  layer->experts.resize(static_cast<size_t>(config.num_experts));
  for (int64_t expert = 0; expert < config.num_experts; ++expert) {
    PackedMlp& mlp = layer->experts[static_cast<size_t>(expert)];
    packer.Mlp(absl::StrCat(prefix, "mlp.experts.", expert, "."), h, config.moe_intermediate_size,
               &mlp);
    layer->gates.push_back(&mlp.gate);
    layer->ups.push_back(&mlp.up);
    layer->downs.push_back(&mlp.down);
  }
  if (config.shared_expert_intermediate_size > 0) {
    packer.Mlp(prefix + "mlp.shared_expert.", h, config.shared_expert_intermediate_size,
               &layer->shared);
    packer.Linear(prefix + "mlp.shared_expert_gate.weight", h, 1, &layer->shared_gate);
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const PackedModel>> PackedModel::Make(ThreadPool& pool,
                                                                     const Model& model) {
  const ModelConfig& config = model.config;
  PONDER_RETURN_IF_ERROR(config.Validate());
  PONDER_RETURN_IF_ERROR(model.weights->MatchesConfig(config));
  auto packed = std::make_shared<PackedModel>();
  packed->config = config;
  packed->weights = model.weights;
  Packer packer(pool, *model.weights);
  packed->embed_tokens = packer.Raw("model.embed_tokens.weight");
  packed->layers.resize(static_cast<size_t>(config.num_hidden_layers));
  for (size_t i = 0; i < packed->layers.size(); ++i) {
    PackLayer(config, static_cast<int64_t>(i), packer, &packed->layers[i]);
  }
  packed->norm = packer.Raw("model.norm.weight");
  packer.Linear(config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                config.hidden_size, config.vocab_size, &packed->lm_head);
  PONDER_RETURN_IF_ERROR(packer.status());
  const std::vector<float> inv_freq = config.rope_inv_freq();
  const int64_t half_dim = static_cast<int64_t>(inv_freq.size());
  packed->rope_cos.resize(static_cast<size_t>(config.max_position_embeddings * half_dim));
  packed->rope_sin.resize(packed->rope_cos.size());
  kernels::RopeTables(inv_freq.data(), half_dim, config.max_position_embeddings,
                      packed->rope_cos.data(), packed->rope_sin.data());
  return packed;
}

absl::StatusOr<std::shared_ptr<const PackedModel>> PackModel(ThreadPool& pool, const Model& model) {
  return PackedModel::Make(pool, model);
}

}  // namespace ponder::moe
