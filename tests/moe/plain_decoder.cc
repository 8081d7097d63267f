// See plain_decoder.h.
#include "tests/moe/plain_decoder.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"

namespace ponder::moe {
namespace {

at::Tensor Norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return x * at::rsqrt(x.pow(2).mean(-1, /*keepdim=*/true) + eps) * weight;
}

// RoPE over heads [L, heads, D]: pairs (i, i + D / 2), or (2i, 2i + 1) when interleaved.
at::Tensor Rotate(const at::Tensor& x_LND, const ModelConfig& config) {
  const int64_t length = x_LND.size(0);
  const int64_t half = x_LND.size(2) / 2;
  const RopeFrequencies rope = config.rope();
  const at::Tensor inv_freq = at::tensor(rope.inv_freq, at::kFloat).to(at::kDouble);
  const at::Tensor angle = at::outer(at::arange(length, at::kDouble), inv_freq).unsqueeze(1);
  const auto dtype = x_LND.scalar_type();
  const at::Tensor cos = (angle.cos() * rope.attention_factor).to(dtype);  // [L, 1, D / 2]
  const at::Tensor sin = (angle.sin() * rope.attention_factor).to(dtype);
  at::Tensor a, b;
  if (config.rope_interleave) {
    const at::Tensor pairs = x_LND.reshape({length, x_LND.size(1), half, 2});
    a = pairs.select(3, 0);
    b = pairs.select(3, 1);
    return at::stack({a * cos - b * sin, a * sin + b * cos}, 3).reshape(x_LND.sizes());
  }
  a = x_LND.narrow(2, 0, half);
  b = x_LND.narrow(2, half, half);
  return at::cat({a * cos - b * sin, a * sin + b * cos}, -1);
}

// softmax(q k^T * scale, causal) v over [heads, L, D].
at::Tensor Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale) {
  const int64_t length = q.size(1);
  const at::Tensor scores = q.matmul(k.transpose(1, 2)) * scale;
  const at::Tensor future = at::ones({length, length}, at::kBool).triu(1);
  return scores.masked_fill(future, -INFINITY).softmax(-1).matmul(v);
}

}  // namespace

PlainDecoder::PlainDecoder(const ModelConfig& config, const Weights& weights, at::ScalarType dtype)
    : config_(config) {
  for (const TensorSpec& spec : weights.manifest().tensors) {
    const auto values = weights.F32(spec.name).value();
    at::Tensor tensor = at::empty(spec.shape, at::kFloat);
    std::copy(values.begin(), values.end(), tensor.data_ptr<float>());
    parameters_[spec.name] = tensor.to(dtype).set_requires_grad(true);
  }
}

at::Tensor PlainDecoder::Linear(const std::string& prefix, const at::Tensor& x) const {
  const at::Tensor y = x.matmul(At(prefix + ".weight").t());
  const auto bias = parameters_.find(prefix + ".bias");
  return bias == parameters_.end() ? y : y + bias->second;
}

at::Tensor PlainDecoder::Attention(int64_t layer, const at::Tensor& x_LH) const {
  const std::string prefix = absl::StrCat("model.layers.", layer, ".self_attn.");
  if (config_.IsMla()) return LatentAttention(prefix, x_LH);
  const int64_t length = x_LH.size(0);
  const int64_t nh = config_.num_attention_heads;
  const int64_t kh = config_.num_key_value_heads;
  const int64_t d = config_.head_dim;
  at::Tensor q = Linear(prefix + "q_proj", x_LH);
  at::Tensor k = Linear(prefix + "k_proj", x_LH);
  at::Tensor v = Linear(prefix + "v_proj", x_LH);
  if (config_.qk_norm == QkNorm::kPerHead) {
    q = q.view({length, nh, d});
    k = k.view({length, kh, d});
  }
  if (config_.qk_norm != QkNorm::kNone) {
    q = Norm(q, At(prefix + "q_norm.weight"), config_.rms_norm_eps);
    k = Norm(k, At(prefix + "k_norm.weight"), config_.rms_norm_eps);
  }
  if (config_.clip_qkv > 0) {
    for (at::Tensor* x : {&q, &k, &v}) *x = x->clamp(-config_.clip_qkv, config_.clip_qkv);
  }
  q = Rotate(q.reshape({length, nh, d}), config_).transpose(0, 1);  // [NH, L, D]
  k = Rotate(k.reshape({length, kh, d}), config_).repeat_interleave(nh / kh, 1).transpose(0, 1);
  v = v.view({length, kh, d}).repeat_interleave(nh / kh, 1).transpose(0, 1);
  const at::Tensor out = Attend(q, k, v, 1 / std::sqrt(static_cast<double>(d)));
  return Linear(prefix + "o_proj", out.transpose(0, 1).reshape({length, nh * d}));
}

// Not absorbed: keys and values of every head are made.
at::Tensor PlainDecoder::LatentAttention(const std::string& prefix, const at::Tensor& x_LH) const {
  constexpr double kEps = 1e-6;
  const int64_t length = x_LH.size(0);
  const int64_t nh = config_.num_attention_heads;
  const int64_t nope = config_.qk_nope_head_dim;
  const int64_t rope = config_.qk_rope_head_dim;
  const int64_t rank = config_.kv_lora_rank;
  at::Tensor q;
  if (config_.q_lora_rank > 0) {
    const at::Tensor q_a = Linear(prefix + "q_a_proj", x_LH);
    q = Linear(prefix + "q_b_proj", Norm(q_a, At(prefix + "q_a_layernorm.weight"), kEps));
  } else {
    q = Linear(prefix + "q_proj", x_LH);
  }
  q = q.view({length, nh, nope + rope});
  const at::Tensor kv_a = Linear(prefix + "kv_a_proj_with_mqa", x_LH);
  const at::Tensor c = Norm(kv_a.narrow(1, 0, rank), At(prefix + "kv_a_layernorm.weight"), kEps);
  const at::Tensor kv =
      Linear(prefix + "kv_b_proj", c).view({length, nh, nope + config_.v_head_dim});
  const at::Tensor k_rope =
      Rotate(kv_a.narrow(1, rank, rope).unsqueeze(1), config_).expand({length, nh, rope});
  const at::Tensor k = at::cat({kv.narrow(2, 0, nope), k_rope}, 2).transpose(0, 1);
  const at::Tensor q_rope = Rotate(q.narrow(2, nope, rope), config_);
  q = at::cat({q.narrow(2, 0, nope), q_rope}, 2).transpose(0, 1);
  const at::Tensor v = kv.narrow(2, nope, config_.v_head_dim).transpose(0, 1);
  double scale = 1 / std::sqrt(static_cast<double>(nope + rope));
  const RopeScaling& scaling = config_.rope_scaling;
  if (scaling.mscale_all_dim > 0) {
    scale *= std::pow(0.1 * scaling.mscale_all_dim * std::log(scaling.factor) + 1, 2);
  }
  const at::Tensor out = Attend(q, k, v, scale);
  return Linear(prefix + "o_proj", out.transpose(0, 1).reshape({length, -1}));
}

at::Tensor PlainDecoder::Mlp(const std::string& prefix, const at::Tensor& x_TH) const {
  const at::Tensor gate = Linear(prefix + "gate_proj", x_TH);
  return Linear(prefix + "down_proj", gate * gate.sigmoid() * Linear(prefix + "up_proj", x_TH));
}

// The experts that each token visits, [T, K].
at::Tensor PlainDecoder::Choose(const std::string& prefix, const at::Tensor& scores_TE) const {
  at::Tensor keys = scores_TE;
  if (config_.router_selection_bias) keys = keys + At(prefix + "gate.e_score_correction_bias");
  if (config_.n_group > 1) {
    const at::Tensor groups = keys.view({keys.size(0), config_.n_group, -1});
    const at::Tensor score = config_.group_score_top2 ? std::get<0>(groups.topk(2, -1)).sum(-1)
                                                      : std::get<0>(groups.max(-1));
    const at::Tensor best = std::get<1>(score.topk(config_.topk_group, -1));
    const at::Tensor mask = at::zeros_like(score).scatter(1, best, 1.0).unsqueeze(-1);
    keys = (groups * mask).view(keys.sizes());
  }
  return std::get<1>(keys.topk(config_.num_experts_per_tok, -1));
}

at::Tensor PlainDecoder::Experts(int64_t layer, const at::Tensor& x_TH) const {
  const std::string prefix = absl::StrCat("model.layers.", layer, ".mlp.");
  const at::Tensor logits = x_TH.matmul(At(prefix + "gate.weight").t());
  const at::Tensor scores =
      config_.scoring_func == "sigmoid" ? logits.sigmoid() : logits.softmax(-1);
  at::Tensor chosen = Choose(prefix, scores.detach());
  if (!forced_.empty()) {
    const at::Tensor& forced = forced_.at(routed_.size());
    chosen = at::where(forced < 0, chosen, forced);
  }
  routed_.push_back({layer, logits, scores, chosen});
  at::Tensor weights = scores.gather(1, chosen);
  if (config_.norm_topk_prob) weights = weights / weights.sum(-1, /*keepdim=*/true);
  weights = weights * config_.routed_scaling_factor;
  const at::Tensor dense = at::zeros_like(scores).scatter(1, chosen, weights);  // [T, E]
  at::Tensor y = at::zeros_like(x_TH);
  for (int64_t e = 0; e < config_.num_experts; ++e) {
    const at::Tensor rows = at::nonzero((chosen == e).any(-1)).squeeze(1);
    if (rows.numel() == 0) continue;
    const at::Tensor out =
        Mlp(absl::StrCat(prefix, "experts.", e, "."), x_TH.index_select(0, rows));
    y = y.index_add(0, rows, dense.select(1, e).index_select(0, rows).unsqueeze(1) * out);
  }
  if (config_.shared_expert_intermediate_size > 0) {
    at::Tensor shared = Mlp(prefix + "shared_expert.", x_TH);
    if (config_.shared_expert_gate) {
      shared = shared * x_TH.matmul(At(prefix + "shared_expert_gate.weight").t()).sigmoid();
    }
    y = y + shared;
  }
  return y;
}

at::Tensor PlainDecoder::Forward(const PackedBatch& batch) const {
  const at::Tensor table = At("model.embed_tokens.weight");
  std::vector<at::Tensor> logits;
  routed_.clear();
  for (size_t s = 0; s + 1 < batch.starts.size(); ++s) {
    const std::vector<int64_t> tokens(batch.tokens.begin() + batch.starts[s],
                                      batch.tokens.begin() + batch.starts[s + 1]);
    if (tokens.empty()) continue;
    at::Tensor x = table.index_select(0, at::tensor(tokens));
    for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
      const std::string prefix = absl::StrCat("model.layers.", layer, ".");
      x = x +
          Attention(layer, Norm(x, At(prefix + "input_layernorm.weight"), config_.rms_norm_eps));
      const at::Tensor normed =
          Norm(x, At(prefix + "post_attention_layernorm.weight"), config_.rms_norm_eps);
      x = x + (config_.IsMoeLayer(layer) ? Experts(layer, normed) : Mlp(prefix + "mlp.", normed));
    }
    x = Norm(x, At("model.norm.weight"), config_.rms_norm_eps);
    const at::Tensor head = config_.scalar_head           ? At("score.weight")
                            : config_.tie_word_embeddings ? table
                                                          : At("lm_head.weight");
    logits.push_back(x.matmul(head.t()));
  }
  return at::cat(logits, 0);
}

}  // namespace ponder::moe
