#include "moe/packed_model.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "moe/inference.h"
#include "moe/kernels/elementwise.h"
#include "moe/latent_attention.h"
#include "moe/tensor_reader.h"

namespace ponder::moe {

using kernels::PackedMatrix;
using kernels::ThreadPool;
using kernels::WeightType;

namespace {

// Reads tensors of one model; the first failure is kept.
class Packer {
 public:
  Packer(ThreadPool& pool, const Weights& weights, WeightType type, kernels::Arena* arena)
      : pool_(pool), weights_(weights), type_(type), arena_(arena) {}

  void Vector(const std::string& name, int64_t size, std::vector<float>* out) {
    out->resize(static_cast<size_t>(size));
    Keep(weights_.CopyF32(name, absl::MakeSpan(*out)));
  }
  void Table(const std::string& name, int64_t size, kernels::AlignedBuffer* out) {
    *out = kernels::AlignedBuffer(size, arena_);
    Copy(name, size, out->data());
  }
  // The matrix [out, in], in memory that the next call may use again; null after a failure.
  const float* Matrix(const std::string& name, int64_t in, int64_t out) {
    converted_.Resize(in * out);
    Copy(name, in * out, converted_.data());
    return status_.ok() ? converted_.data() : nullptr;
  }
  // A linear weight [out, in] as B [in, out].
  void Weight(const std::string& name, int64_t in, int64_t out, PackedMatrix* matrix) {
    Pack(name, in, out, type_, matrix);
  }
  // Where tokens go is decided in float32.
  void Router(const std::string& name, int64_t in, int64_t out, PackedMatrix* matrix) {
    Pack(name, in, out, WeightType::kFloat32, matrix);
  }
  // `prefix`.weight and, with a bias, `prefix`.bias.
  void Linear(const std::string& prefix, int64_t in, int64_t out, bool bias, PackedLinear* linear) {
    Weight(prefix + ".weight", in, out, &linear->weight);
    if (bias) Vector(prefix + ".bias", out, &linear->bias);
  }
  void Mlp(const std::string& prefix, int64_t hidden, int64_t intermediate, bool bias,
           PackedMlp* mlp) {
    Linear(prefix + "gate_proj", hidden, intermediate, bias, &mlp->gate);
    Linear(prefix + "up_proj", hidden, intermediate, bias, &mlp->up);
    Linear(prefix + "down_proj", intermediate, hidden, bias, &mlp->down);
  }
  ThreadPool& pool() { return pool_; }
  const absl::Status& status() const { return status_; }

 private:
  void Copy(const std::string& name, int64_t elements, float* out) {
    constexpr int64_t kBlock = 1 << 16;
    auto reader = TensorReader::Open(weights_, name, elements, kBlock);
    if (!reader.ok()) return Keep(reader.status());
    pool_.ParallelFor(reader->blocks(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) reader->Copy(i, out + i * kBlock);
    });
    Keep(reader->Finish());
  }
  void Pack(const std::string& name, int64_t in, int64_t out, WeightType type,
            PackedMatrix* matrix) {
    constexpr int64_t kRows = kernels::isa::kPanel;
    auto reader = TensorReader::Open(weights_, name, in * out, kRows * in);
    if (!reader.ok()) return Keep(reader.status());
    const auto rows = [&](int64_t first, int64_t, float* scratch) {
      return reader->Read(first / kRows, scratch);
    };
    matrix->PackRows(pool_, rows, in, out, type, arena_);
    Keep(reader->Finish());
  }
  void Keep(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }

  ThreadPool& pool_;
  const Weights& weights_;
  const WeightType type_;
  kernels::Arena* const arena_;
  kernels::AlignedBuffer converted_;
  absl::Status status_;
};

void PackAttention(const ModelConfig& c, const std::string& attn, Packer& packer,
                   PackedLayer* layer) {
  const int64_t h = c.hidden_size;
  const int64_t q_width = c.num_attention_heads * c.head_dim;
  const int64_t kv_width = c.num_key_value_heads * c.head_dim;
  packer.Linear(attn + "q_proj", h, q_width, c.attention_bias, &layer->q);
  packer.Linear(attn + "k_proj", h, kv_width, c.attention_bias, &layer->k);
  packer.Linear(attn + "v_proj", h, kv_width, c.attention_bias, &layer->v);
  if (c.qk_norm != QkNorm::kNone) {
    const bool full = c.qk_norm == QkNorm::kFullWidth;
    packer.Vector(attn + "q_norm.weight", full ? q_width : c.head_dim, &layer->q_norm);
    packer.Vector(attn + "k_norm.weight", full ? kv_width : c.head_dim, &layer->k_norm);
  }
  packer.Linear(attn + "o_proj", q_width, h, c.attention_output_bias, &layer->o);
}

void PackLatentAttention(const ModelConfig& c, const std::string& attn, Packer& packer,
                         PackedLayer* layer) {
  const LatentShape shape(c);
  const int64_t h = c.hidden_size;
  PackedLatent& latent = layer->latent;
  const int64_t q_width = shape.heads * shape.query();
  if (c.q_lora_rank > 0) {
    packer.Linear(attn + "q_a_proj", h, c.q_lora_rank, c.attention_bias, &latent.q_a);
    packer.Vector(attn + "q_a_layernorm.weight", c.q_lora_rank, &latent.q_a_norm);
    packer.Linear(attn + "q_b_proj", c.q_lora_rank, q_width, /*bias=*/false, &layer->q);
  } else {
    packer.Linear(attn + "q_proj", h, q_width, /*bias=*/false, &layer->q);
  }
  const std::string kv_a = attn + "kv_a_proj_with_mqa";
  if (const float* rows = packer.Matrix(kv_a + ".weight", h, shape.key()); rows != nullptr) {
    latent.c.weight.Pack(packer.pool(), rows, h, shape.rank, 1, h);
    latent.rope_key.weight.Pack(packer.pool(), rows + shape.rank * h, h, shape.rope, 1, h);
  }
  if (c.attention_bias) {
    packer.Vector(kv_a + ".bias", shape.key(), &latent.c.bias);
    const auto cut = latent.c.bias.begin() + shape.rank;
    latent.rope_key.bias.assign(cut, latent.c.bias.end());
    latent.c.bias.erase(cut, latent.c.bias.end());
  }
  packer.Vector(attn + "kv_a_layernorm.weight", shape.rank, &latent.c_norm);
  latent.up_key.resize(static_cast<size_t>(shape.heads));
  latent.up_value.resize(static_cast<size_t>(shape.heads));
  const float* rows = packer.Matrix(attn + "kv_b_proj.weight", shape.rank,
                                    shape.heads * (shape.nope + shape.value));
  for (size_t head = 0; rows != nullptr && head < latent.up_key.size(); ++head) {
    latent.up_key[head].Pack(packer.pool(), rows, shape.nope, shape.rank, shape.rank, 1);
    rows += shape.nope * shape.rank;
    latent.up_value[head].Pack(packer.pool(), rows, shape.rank, shape.value, 1, shape.rank);
    rows += shape.value * shape.rank;
    latent.up_keys.push_back(&latent.up_key[head]);
    latent.up_values.push_back(&latent.up_value[head]);
  }
  packer.Linear(attn + "o_proj", shape.heads * shape.value, h, c.attention_output_bias, &layer->o);
}

void PackExperts(const ModelConfig& c, const std::string& mlp, Packer& packer, PackedLayer* layer) {
  const int64_t h = c.hidden_size;
  packer.Router(mlp + "gate.weight", h, c.num_experts, &layer->router);
  if (c.router_selection_bias) {
    packer.Vector(mlp + "gate.e_score_correction_bias", c.num_experts, &layer->selection_bias);
  }
  layer->experts.resize(static_cast<size_t>(c.num_experts));
  for (int64_t expert = 0; expert < c.num_experts; ++expert) {
    PackedMlp& packed = layer->experts[static_cast<size_t>(expert)];
    packer.Mlp(absl::StrCat(mlp, "experts.", expert, "."), h, c.moe_intermediate_size,
               /*bias=*/false, &packed);
    layer->gates.push_back(&packed.gate.weight);
    layer->ups.push_back(&packed.up.weight);
    layer->downs.push_back(&packed.down.weight);
  }
  if (c.shared_expert_intermediate_size == 0) return;
  packer.Mlp(mlp + "shared_expert.", h, c.shared_expert_intermediate_size, /*bias=*/false,
             &layer->shared);
  if (c.shared_expert_gate) {
    packer.Router(mlp + "shared_expert_gate.weight", h, 1, &layer->shared_gate);
  }
}

void PackLayer(const ModelConfig& c, int64_t index, Packer& packer, PackedLayer* layer) {
  const std::string prefix = absl::StrCat("model.layers.", index, ".");
  packer.Vector(prefix + "input_layernorm.weight", c.hidden_size, &layer->input_layernorm);
  if (c.IsMla()) {
    PackLatentAttention(c, prefix + "self_attn.", packer, layer);
  } else {
    PackAttention(c, prefix + "self_attn.", packer, layer);
  }
  packer.Vector(prefix + "post_attention_layernorm.weight", c.hidden_size,
                &layer->post_attention_layernorm);
  if (c.IsMoeLayer(index)) {
    PackExperts(c, prefix + "mlp.", packer, layer);
  } else {
    packer.Mlp(prefix + "mlp.", c.hidden_size, c.intermediate_size, c.mlp_bias, &layer->dense);
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const PackedModel>> PackedModel::Make(ThreadPool& pool,
                                                                     const Model& model,
                                                                     WeightType type) {
  const ModelConfig& config = model.config;
  PONDER_RETURN_IF_ERROR(config.Validate());
  PONDER_RETURN_IF_ERROR(model.weights->MatchesConfig(config));
  auto packed = std::make_shared<PackedModel>();
  packed->config = config;
  Packer packer(pool, *model.weights, type, &packed->memory);
  packer.Table("model.embed_tokens.weight", config.vocab_size * config.hidden_size,
               &packed->embed_tokens);
  packed->layers.resize(static_cast<size_t>(config.num_hidden_layers));
  for (size_t i = 0; i < packed->layers.size(); ++i) {
    PackLayer(config, static_cast<int64_t>(i), packer, &packed->layers[i]);
  }
  packer.Vector("model.norm.weight", config.hidden_size, &packed->norm);
  if (config.scalar_head) {
    packer.Weight(kScalarHeadWeight, config.hidden_size, 1, &packed->lm_head);
  } else {
    packer.Weight(config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                  config.hidden_size, config.vocab_size, &packed->lm_head);
  }
  PONDER_RETURN_IF_ERROR(packer.status());
  const RopeFrequencies rope = config.rope();
  const int64_t half_dim = static_cast<int64_t>(rope.inv_freq.size());
  packed->rope_cos.resize(static_cast<size_t>(config.max_position_embeddings * half_dim));
  packed->rope_sin.resize(packed->rope_cos.size());
  kernels::RopeTables(rope.inv_freq.data(), half_dim, config.max_position_embeddings,
                      rope.attention_factor, packed->rope_cos.data(), packed->rope_sin.data());
  return packed;
}

absl::StatusOr<std::shared_ptr<const PackedModel>> PackModel(ThreadPool& pool, const Model& model,
                                                             WeightType type) {
  return PackedModel::Make(pool, model, type);
}

}  // namespace ponder::moe
