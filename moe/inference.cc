#include "moe/inference.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/elementwise.h"
#include "moe/kernels/gemm.h"
#include "moe/kernels/routing.h"
#include "moe/shared_expert.h"

// Legend: T rows (tokens), H hidden, NH query heads, KH key/value heads, D head_dim, E experts, K
// experts a token, I intermediate size, R rows with logits, V vocabulary.
namespace ponder::moe {

using kernels::AlignedBuffer;
using kernels::PackedMatrix;
using kernels::ThreadPool;

namespace {

struct PackedMlp {
  PackedMatrix gate, up;  // [H, I]
  PackedMatrix down;      // [I, H]
};

struct PackedLayer {
  const float* input_layernorm = nullptr;  // [H]
  PackedMatrix q, k, v, o;
  const float* q_norm = nullptr;  // [D]; null without QK-norm
  const float* k_norm = nullptr;
  const float* post_attention_layernorm = nullptr;     // [H]
  PackedMlp dense;                                     // of dense layers
  PackedMatrix router;                                 // [H, E]
  std::vector<PackedMlp> experts;                      // [E]; empty in dense layers
  std::vector<const PackedMatrix*> gates, ups, downs;  // into `experts`
  PackedMlp shared;
  PackedMatrix shared_gate;  // [H, 1]
};

}  // namespace

class PackedModel {
 public:
  // Fails where a tensor is missing or not float32.
  static absl::StatusOr<std::shared_ptr<const PackedModel>> Make(ThreadPool& pool,
                                                                 const Model& model);

  ModelConfig config;
  std::shared_ptr<const Weights> weights;  // keeps the tensors that are not packed alive
  const float* embed_tokens = nullptr;     // [V, H]
  std::vector<PackedLayer> layers;
  const float* norm = nullptr;            // [H]
  PackedMatrix lm_head;                   // [H, V]
  std::vector<float> rope_cos, rope_sin;  // [max_position_embeddings, D / 2]
};

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

// C [m, n] = A [m, k] x B, all contiguous.
void Product(ThreadPool& pool, const AlignedBuffer& a, int64_t m, const PackedMatrix& b,
             AlignedBuffer* c) {
  c->Resize(m * b.n());
  kernels::Gemm(pool, a.data(), b.k(), 1, m, b, c->data(), b.n());
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

namespace {

// Everything one forward pass works on.
struct Pass {
  ThreadPool& pool;
  const PackedModel& model;
  int64_t t;
  absl::Span<const kernels::AttentionRow> rows;
};

void Norm(const Pass& pass, const float* x, const float* weight, int64_t rows, int64_t width,
          AlignedBuffer* out) {
  out->Resize(rows * width);
  kernels::RmsNormForward(pass.pool, x, weight, rows, width,
                          static_cast<float>(pass.model.config.rms_norm_eps), out->data(), nullptr);
}

}  // namespace

// Grows to the largest T seen, then stays.
struct Inference::Scratch {
  std::vector<int32_t> positions;               // [T]
  AlignedBuffer x, normed;                      // [T, H]: residual stream, its norm
  AlignedBuffer q, k, v, attended;              // [T, NH * D], [T, KH * D] twice, [T, NH * D]
  AlignedBuffer gate, up, activated;            // [rows, I]
  AlignedBuffer y;                              // [T, H]: what a block adds to x
  AlignedBuffer router_logits, expert_weights;  // [T, E], [T, K]
  std::vector<int32_t> experts;                 // [T, K]
  kernels::ExpertOrder order;
  AlignedBuffer expert_in, expert_out;    // [T * K, H], sorted by expert
  AlignedBuffer shared_out, shared_gate;  // [T, H], [T]
  AlignedBuffer last, logits;             // [R, H], [R, V]

  // y = attention block of `normed`; stores this layer's keys and values.
  void Attention(const Pass& pass, int64_t layer_index);
  // out = SwiGLU feed-forward of `normed`.
  void Mlp(const Pass& pass, const PackedMlp& mlp, AlignedBuffer* out);
  // y = routed experts (plus the shared one) of `normed`.
  void Experts(const Pass& pass, const PackedLayer& layer);
};

void Inference::Scratch::Attention(const Pass& pass, int64_t layer_index) {
  const PackedLayer& layer = pass.model.layers[static_cast<size_t>(layer_index)];
  const ModelConfig& config = pass.model.config;
  const kernels::AttentionShape shape = config.attention_shape();
  const int64_t q_width = shape.heads * shape.head_dim;
  const int64_t kv_width = shape.kv_heads * shape.head_dim;
  Product(pass.pool, normed, pass.t, layer.q, &q);
  Product(pass.pool, normed, pass.t, layer.k, &k);
  Product(pass.pool, normed, pass.t, layer.v, &v);
  if (config.use_qk_norm) {
    Norm(pass, q.data(), layer.q_norm, pass.t * shape.heads, shape.head_dim, &q);
    Norm(pass, k.data(), layer.k_norm, pass.t * shape.kv_heads, shape.head_dim, &k);
  }
  kernels::Rope(pass.pool, q.data(), q_width, pass.t, shape.heads, shape.head_dim, positions.data(),
                pass.model.rope_cos.data(), pass.model.rope_sin.data());
  kernels::Rope(pass.pool, k.data(), kv_width, pass.t, shape.kv_heads, shape.head_dim,
                positions.data(), pass.model.rope_cos.data(), pass.model.rope_sin.data());
  kernels::StoreKv(shape, layer_index, k.data(), v.data(), kv_width, pass.rows);
  attended.Resize(pass.t * q_width);
  kernels::AttentionForward(pass.pool, shape, layer_index, q.data(), q_width, pass.rows,
                            attended.data(), nullptr);
  Product(pass.pool, attended, pass.t, layer.o, &y);
}

void Inference::Scratch::Mlp(const Pass& pass, const PackedMlp& mlp, AlignedBuffer* out) {
  Product(pass.pool, normed, pass.t, mlp.gate, &gate);
  Product(pass.pool, normed, pass.t, mlp.up, &up);
  activated.Resize(gate.size());
  kernels::SwiGluForward(pass.pool, gate.data(), up.data(), gate.size(), activated.data());
  Product(pass.pool, activated, pass.t, mlp.down, out);
}

void Inference::Scratch::Experts(const Pass& pass, const PackedLayer& layer) {
  const ModelConfig& config = pass.model.config;
  const int64_t h = config.hidden_size;
  const int64_t k = config.num_experts_per_tok;
  const int64_t intermediate = config.moe_intermediate_size;
  const int64_t rows = pass.t * k;
  Product(pass.pool, normed, pass.t, layer.router, &router_logits);
  experts.resize(static_cast<size_t>(rows));
  expert_weights.Resize(rows);
  kernels::RouterForward(pass.pool, config.router_options(), router_logits.data(), pass.t, nullptr,
                         experts.data(), expert_weights.data());
  kernels::SortByExpert(experts.data(), pass.t, k, config.num_experts, &order);
  expert_in.Resize(rows * h);
  kernels::GatherRows(pass.pool, normed.data(), order.token_of.data(), rows, h, expert_in.data());
  gate.Resize(rows * intermediate);
  up.Resize(rows * intermediate);
  activated.Resize(rows * intermediate);
  expert_out.Resize(rows * h);
  y.Resize(pass.t * h);
  kernels::GroupedGemm(pass.pool, expert_in.data(), h, order.offsets, layer.gates, gate.data(),
                       intermediate);
  kernels::GroupedGemm(pass.pool, expert_in.data(), h, order.offsets, layer.ups, up.data(),
                       intermediate);
  kernels::SwiGluForward(pass.pool, gate.data(), up.data(), rows * intermediate, activated.data());
  kernels::GroupedGemm(pass.pool, activated.data(), intermediate, order.offsets, layer.downs,
                       expert_out.data(), h);
  kernels::CombineRows(pass.pool, expert_out.data(), order.row_of.data(), expert_weights.data(),
                       pass.t, k, h, y.data());
  if (config.shared_expert_intermediate_size > 0) {
    Mlp(pass, layer.shared, &shared_out);
    Product(pass.pool, normed, pass.t, layer.shared_gate, &shared_gate);
    AddGatedRows(shared_out.data(), shared_gate.data(), pass.t, h, y.data());
  }
}

Inference::Inference(ThreadPool& pool, std::shared_ptr<const PackedModel> model)
    : pool_(pool), model_(std::move(model)), scratch_(std::make_unique<Scratch>()) {}

Inference::~Inference() = default;

void Inference::SetModel(std::shared_ptr<const PackedModel> model) { model_ = std::move(model); }

const ModelConfig& Inference::config() const { return model_->config; }

void Inference::Forward(absl::Span<const int32_t> tokens_T,
                        absl::Span<const kernels::AttentionRow> rows_T,
                        absl::Span<const int32_t> logit_rows) {
  PONDER_CHECK(tokens_T.size() == rows_T.size(), tokens_T.size(), " tokens, ", rows_T.size(),
               " rows");
  Scratch& s = *scratch_;
  const ModelConfig& config = model_->config;
  const int64_t h = config.hidden_size;
  const Pass pass{pool_, *model_, static_cast<int64_t>(tokens_T.size()), rows_T};
  s.positions.resize(rows_T.size());
  s.x.Resize(pass.t * h);
  for (int64_t t = 0; t < pass.t; ++t) {
    const int32_t token = tokens_T[static_cast<size_t>(t)];
    const int64_t position = rows_T[static_cast<size_t>(t)].length - 1;
    PONDER_CHECK(token >= 0 && token < config.vocab_size, "token ", token);
    PONDER_CHECK(position >= 0 && position < config.max_position_embeddings, "position ", position);
    s.positions[static_cast<size_t>(t)] = static_cast<int32_t>(position);
    std::memcpy(s.x.data() + t * h, model_->embed_tokens + token * h,
                static_cast<size_t>(h) * sizeof(float));
  }
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const PackedLayer& layer = model_->layers[static_cast<size_t>(i)];
    Norm(pass, s.x.data(), layer.input_layernorm, pass.t, h, &s.normed);
    s.Attention(pass, i);
    kernels::AddInPlace(pool_, s.x.data(), s.y.data(), pass.t * h);
    Norm(pass, s.x.data(), layer.post_attention_layernorm, pass.t, h, &s.normed);
    if (config.IsMoeLayer(i)) {
      s.Experts(pass, layer);
    } else {
      s.Mlp(pass, layer.dense, &s.y);
    }
    kernels::AddInPlace(pool_, s.x.data(), s.y.data(), pass.t * h);
  }
  const int64_t r = static_cast<int64_t>(logit_rows.size());
  s.last.Resize(r * h);
  kernels::GatherRows(pool_, s.x.data(), logit_rows.data(), r, h, s.last.data());
  Norm(pass, s.last.data(), model_->norm, r, h, &s.last);
  Product(pool_, s.last, r, model_->lm_head, &s.logits);
}

const float* Inference::logits(int64_t i) const {
  return scratch_->logits.data() + i * model_->config.vocab_size;
}

}  // namespace ponder::moe
