#include "moe/inference.h"

#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/elementwise.h"
#include "moe/kernels/gemm.h"
#include "moe/kernels/routing.h"
#include "moe/latent_attention.h"
#include "moe/packed_model.h"
#include "moe/shared_expert.h"

// Legend: T rows (tokens), H hidden, NH query heads, KH key/value heads, D head_dim, E experts, K
// experts a token, I intermediate size, R rows with logits, V vocabulary.
namespace ponder::moe {

using kernels::AlignedBuffer;
using kernels::PackedMatrix;
using kernels::ThreadPool;

namespace {

// C [m, n] = A [m, k] x B, all contiguous.
void Product(ThreadPool& pool, const AlignedBuffer& a, int64_t m, const PackedMatrix& b,
             AlignedBuffer* c) {
  c->Resize(m * b.n());
  kernels::Gemm(pool, a.data(), b.k(), 1, m, b, c->data(), b.n());
}
// The same with a bias, if there is one.
void Product(ThreadPool& pool, const AlignedBuffer& a, int64_t m, const PackedLinear& b,
             AlignedBuffer* c) {
  Product(pool, a, m, b.weight, c);
  if (!b.bias.empty()) kernels::AddBias(pool, b.bias.data(), m, b.weight.n(), c->data());
}

// Everything one forward pass works on.
struct Pass {
  ThreadPool& pool;
  const PackedModel& model;
  int64_t t;
  absl::Span<const kernels::AttentionRow> rows;
};

void Norm(const Pass& pass, const float* x, const std::vector<float>& weight, int64_t rows,
          AlignedBuffer* out, float eps) {
  const int64_t width = static_cast<int64_t>(weight.size());
  out->Resize(rows * width);
  kernels::RmsNormForward(pass.pool, x, weight.data(), rows, width, eps, out->data(), nullptr);
}
void Norm(const Pass& pass, const float* x, const std::vector<float>& weight, int64_t rows,
          AlignedBuffer* out) {
  Norm(pass, x, weight, rows, out, pass.model.config.norm_eps());
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

  AlignedBuffer q_a, q_latent, c, rope_key;  // of latent attention: see moe/latent_attention.h

  // y = attention block of `normed`; stores this layer's keys and values.
  void Attention(const Pass& pass, int64_t layer_index);
  void LatentAttention(const Pass& pass, int64_t layer_index);
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
  if (config.qk_norm != QkNorm::kNone) {
    const bool full = config.qk_norm == QkNorm::kFullWidth;
    Norm(pass, q.data(), layer.q_norm, full ? pass.t : pass.t * shape.heads, &q);
    Norm(pass, k.data(), layer.k_norm, full ? pass.t : pass.t * shape.kv_heads, &k);
  }
  if (config.clip_qkv > 0) {
    for (AlignedBuffer* x : {&q, &k, &v}) {
      kernels::Clamp(pass.pool, x->data(), x->size(), static_cast<float>(config.clip_qkv));
    }
  }
  kernels::Rope(pass.pool, q.data(), q_width, pass.t, shape.heads, shape.head_dim, positions.data(),
                pass.model.rope_cos.data(), pass.model.rope_sin.data());
  kernels::Rope(pass.pool, k.data(), kv_width, pass.t, shape.kv_heads, shape.head_dim,
                positions.data(), pass.model.rope_cos.data(), pass.model.rope_sin.data());
  kernels::StoreKv(pass.pool, shape, layer_index, k.data(), v.data(), kv_width, pass.rows);
  attended.Resize(pass.t * q_width);
  kernels::AttentionForward(pass.pool, shape, layer_index, q.data(), q_width, pass.rows,
                            attended.data(), nullptr);
  Product(pass.pool, attended, pass.t, layer.o, &y);
}

void Inference::Scratch::LatentAttention(const Pass& pass, int64_t layer_index) {
  const PackedLayer& layer = pass.model.layers[static_cast<size_t>(layer_index)];
  const PackedLatent& latent = layer.latent;
  const LatentShape shape(pass.model.config);
  const kernels::AttentionShape attention = pass.model.config.attention_shape();
  const Rotation rotation{positions.data(), pass.model.rope_cos.data(), pass.model.rope_sin.data(),
                          pass.model.config.rope_interleave};
  if (pass.model.config.q_lora_rank > 0) {
    Product(pass.pool, normed, pass.t, latent.q_a, &q_a);
    Norm(pass, q_a.data(), latent.q_a_norm, pass.t, &q_a, ModelConfig::kLatentNormEps);
    Product(pass.pool, q_a, pass.t, layer.q, &q);
  } else {
    Product(pass.pool, normed, pass.t, layer.q, &q);
  }
  q_latent.Resize(pass.t * shape.heads * shape.key());
  AbsorbQueries(pass.pool, shape, rotation, q.data(), pass.t, latent.up_keys, q_latent.data());
  Product(pass.pool, normed, pass.t, latent.c, &c);
  Norm(pass, c.data(), latent.c_norm, pass.t, &c, ModelConfig::kLatentNormEps);
  Product(pass.pool, normed, pass.t, latent.rope_key, &rope_key);
  k.Resize(pass.t * shape.key());
  LatentKeys(pass.pool, shape, rotation, c.data(), rope_key.data(), pass.t, k.data());
  kernels::StoreKv(pass.pool, attention, layer_index, k.data(), k.data(), shape.key(),
                   pass.rows);
  attended.Resize(pass.t * shape.heads * shape.rank);
  kernels::AttentionForward(pass.pool, attention, layer_index, q_latent.data(),
                            shape.heads * shape.key(), pass.rows, attended.data(), nullptr);
  v.Resize(pass.t * shape.heads * shape.value);
  ExpandValues(pass.pool, shape, attended.data(), pass.t, latent.up_values, v.data());
  Product(pass.pool, v, pass.t, layer.o, &y);
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
  kernels::RouterForward(pass.pool, config.router_options(), router_logits.data(), pass.t,
                         layer.selection_bias.empty() ? nullptr : layer.selection_bias.data(),
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
    if (config.shared_expert_gate) {
      Product(pass.pool, normed, pass.t, layer.shared_gate, &shared_gate);
      AddGatedRows(shared_out.data(), shared_gate.data(), pass.t, h, y.data());
    } else {
      kernels::AddInPlace(pass.pool, y.data(), shared_out.data(), pass.t * h);
    }
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
  routing_.resize(static_cast<size_t>(config.num_hidden_layers));
  s.positions.resize(rows_T.size());
  s.x.Resize(pass.t * h);
  for (int64_t t = 0; t < pass.t; ++t) {
    const int32_t token = tokens_T[static_cast<size_t>(t)];
    const int64_t position = rows_T[static_cast<size_t>(t)].length - 1;
    PONDER_CHECK(token >= 0 && token < config.vocab_size, "token ", token);
    PONDER_CHECK(position >= 0 && position < config.max_position_embeddings, "position ", position);
    s.positions[static_cast<size_t>(t)] = static_cast<int32_t>(position);
    std::memcpy(s.x.data() + t * h, model_->embed_tokens.data() + token * h,
                static_cast<size_t>(h) * sizeof(float));
  }
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const PackedLayer& layer = model_->layers[static_cast<size_t>(i)];
    Norm(pass, s.x.data(), layer.input_layernorm, pass.t, &s.normed);
    if (config.IsMla()) {
      s.LatentAttention(pass, i);
    } else {
      s.Attention(pass, i);
    }
    kernels::AddInPlace(pool_, s.x.data(), s.y.data(), pass.t * h);
    Norm(pass, s.x.data(), layer.post_attention_layernorm, pass.t, &s.normed);
    if (config.IsMoeLayer(i)) {
      s.Experts(pass, layer);
      if (record_routing_) {
        Routing& routing = routing_[static_cast<size_t>(i)];
        routing.experts = s.experts;
        routing.weights.assign(s.expert_weights.data(),
                               s.expert_weights.data() + s.expert_weights.size());
      }
    } else {
      s.Mlp(pass, layer.dense, &s.y);
    }
    kernels::AddInPlace(pool_, s.x.data(), s.y.data(), pass.t * h);
  }
  const int64_t r = static_cast<int64_t>(logit_rows.size());
  s.last.Resize(r * h);
  kernels::GatherRows(pool_, s.x.data(), logit_rows.data(), r, h, s.last.data());
  Norm(pass, s.last.data(), model_->norm, r, &s.last);
  Product(pool_, s.last, r, model_->lm_head, &s.logits);
}

const float* Inference::logits(int64_t i) const {
  return scratch_->logits.data() + i * model_->lm_head.n();
}

}  // namespace ponder::moe
