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

// Hugging Face's rotate_half over heads [L, heads, D].
at::Tensor Rotate(const at::Tensor& x_LND, double theta) {
  const int64_t length = x_LND.size(0);
  const int64_t d = x_LND.size(2);
  const at::Tensor exponent = at::arange(0, d, 2, at::kDouble) / static_cast<double>(d);
  const at::Tensor angle =
      at::outer(at::arange(length, at::kDouble), at::pow(theta, -exponent));
  const at::Tensor full = at::cat({angle, angle}, -1).unsqueeze(1);  // [L, 1, D]
  const auto halves = x_LND.chunk(2, -1);
  return x_LND * full.cos() + at::cat({-halves[1], halves[0]}, -1) * full.sin();
}

}  // namespace

PlainDecoder::PlainDecoder(const ModelConfig& config, const Weights& weights) : config_(config) {
  for (const TensorSpec& spec : weights.manifest().tensors) {
    const auto values = weights.F32(spec.name).value();
    at::Tensor tensor = torch::empty(spec.shape, torch::kFloat);
    std::copy(values.begin(), values.end(), tensor.data_ptr<float>());
    parameters_[spec.name] = tensor.to(at::kDouble).set_requires_grad(true);
  }
}

at::Tensor PlainDecoder::Attention(int64_t layer, const at::Tensor& x_LH) const {
  const std::string prefix = absl::StrCat("model.layers.", layer, ".self_attn.");
  const int64_t length = x_LH.size(0);
  const int64_t nh = config_.num_attention_heads;
  const int64_t kh = config_.num_key_value_heads;
  const int64_t d = config_.head_dim;
  at::Tensor q = x_LH.matmul(At(prefix + "q_proj.weight").t()).view({length, nh, d});
  at::Tensor k = x_LH.matmul(At(prefix + "k_proj.weight").t()).view({length, kh, d});
  at::Tensor v = x_LH.matmul(At(prefix + "v_proj.weight").t()).view({length, kh, d});
  if (config_.use_qk_norm) {
    q = Norm(q, At(prefix + "q_norm.weight"), config_.rms_norm_eps);
    k = Norm(k, At(prefix + "k_norm.weight"), config_.rms_norm_eps);
  }
  q = Rotate(q, config_.rope_theta).transpose(0, 1);  // [NH, L, D]
  k = Rotate(k, config_.rope_theta).repeat_interleave(nh / kh, 1).transpose(0, 1);
  v = v.repeat_interleave(nh / kh, 1).transpose(0, 1);
  at::Tensor scores = q.matmul(k.transpose(1, 2)) / std::sqrt(static_cast<double>(d));
  const at::Tensor future = torch::ones({length, length}, torch::kBool).triu(1);
  scores = scores.masked_fill(future, -INFINITY);
  const at::Tensor out = scores.softmax(-1).matmul(v).transpose(0, 1).reshape({length, nh * d});
  return out.matmul(At(prefix + "o_proj.weight").t());
}

at::Tensor PlainDecoder::Mlp(const std::string& prefix, const at::Tensor& x_TH) const {
  const at::Tensor gate = x_TH.matmul(At(prefix + "gate_proj.weight").t());
  const at::Tensor up = x_TH.matmul(At(prefix + "up_proj.weight").t());
  return (gate * gate.sigmoid() * up).matmul(At(prefix + "down_proj.weight").t());
}

at::Tensor PlainDecoder::Experts(int64_t layer, const at::Tensor& x_TH) const {
  const std::string prefix = absl::StrCat("model.layers.", layer, ".mlp.");
  const at::Tensor logits = x_TH.matmul(At(prefix + "gate.weight").t());
  const at::Tensor scores =
      config_.scoring_func == "sigmoid" ? logits.sigmoid() : logits.softmax(-1);
  auto [weights, chosen] = scores.topk(config_.num_experts_per_tok, -1);
  if (config_.norm_topk_prob) weights = weights / weights.sum(-1, /*keepdim=*/true);
  const at::Tensor dense = torch::zeros_like(scores).scatter(1, chosen, weights);  // [T, E]
  at::Tensor y = torch::zeros_like(x_TH);
  for (int64_t e = 0; e < config_.num_experts; ++e) {
    y = y + dense.select(1, e).unsqueeze(1) * Mlp(absl::StrCat(prefix, "experts.", e, "."), x_TH);
  }
  if (config_.shared_expert_intermediate_size > 0) {
    const at::Tensor gate = x_TH.matmul(At(prefix + "shared_expert_gate.weight").t()).sigmoid();
    y = y + gate * Mlp(prefix + "shared_expert.", x_TH);
  }
  return y;
}

at::Tensor PlainDecoder::Forward(const PackedBatch& batch) const {
  const at::Tensor table = At("model.embed_tokens.weight");
  std::vector<at::Tensor> logits;
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
    logits.push_back(x.matmul((config_.tie_word_embeddings ? table : At("lm_head.weight")).t()));
  }
  return at::cat(logits, 0);
}

}  // namespace ponder::moe
