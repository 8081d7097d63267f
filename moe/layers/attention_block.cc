// See attention_block.h.
#include "moe/layers/attention_block.h"

#include <ATen/ATen.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "moe/kernels/elementwise.h"
#include "moe/layers/packed_attention.h"

namespace ponder::moe {

struct AttentionBlock::Kept : Block::Saved {
  at::Tensor x;             // [T, H]
  at::Tensor inv_rms;       // [T]
  at::Tensor q, k, v;       // projections: [T, NH * D], [T, KH * D] twice; v clamped
  at::Tensor q_inv, k_inv;  // with QK-norm: [T, NH], [T, KH]
  at::Tensor out;           // [T, NH * D]
  at::Tensor lse;           // [T, NH]
};

AttentionBlock::AttentionBlock(const ModelConfig& config, int64_t layer,
                               const ParameterStore& parameters, const RotaryTables& rotary,
                               Workspace& workspace)
    : workspace_(workspace),
      clip_(static_cast<float>(config.clip_qkv)),
      rotary_(rotary),
      shape_(config.attention_shape()),
      norm_(workspace,
            parameters.View(absl::StrCat("model.layers.", layer, ".input_layernorm.weight")),
            config.norm_eps()),
      q_proj_(workspace, parameters, absl::StrCat("model.layers.", layer, ".self_attn.q_proj")),
      k_proj_(workspace, parameters, absl::StrCat("model.layers.", layer, ".self_attn.k_proj")),
      v_proj_(workspace, parameters, absl::StrCat("model.layers.", layer, ".self_attn.v_proj")),
      o_proj_(workspace, parameters, absl::StrCat("model.layers.", layer, ".self_attn.o_proj")) {
  if (config.qk_norm != QkNorm::kNone) {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".self_attn.");
    q_norm_.emplace(workspace, parameters.View(prefix + "q_norm.weight"), config.norm_eps());
    k_norm_.emplace(workspace, parameters.View(prefix + "k_norm.weight"), config.norm_eps());
  }
}

void AttentionBlock::Pack() {
  for (Linear* linear : {&q_proj_, &k_proj_, &v_proj_, &o_proj_}) linear->Pack();
}

void AttentionBlock::NormAndClamp(const float* projected, int64_t t, int64_t heads,
                                  const std::optional<RmsNorm>& norm, float* out,
                                  float* inv_rms) const {
  const int64_t floats = t * heads * shape_.head_dim;
  if (norm) {
    norm->Forward(projected, floats / norm->width(), out, inv_rms);
  } else {
    std::memcpy(out, projected, floats * sizeof(float));
  }
  if (clip_ > 0) kernels::Clamp(workspace_.pool, out, floats, clip_);
}

at::Tensor AttentionBlock::Rotated(const Batch& batch, const at::Tensor& projected, int64_t heads,
                                   const std::optional<RmsNorm>& norm,
                                   const at::Tensor* inv_rms) const {
  const int64_t t = batch.size();
  at::Tensor rotated = workspace_.activations.New(projected.sizes());
  float* out = rotated.data_ptr<float>();
  NormAndClamp(projected.data_ptr<float>(), t, heads, norm, out,
               norm && inv_rms != nullptr ? inv_rms->data_ptr<float>() : nullptr);
  kernels::Rope(workspace_.pool, out, heads * shape_.head_dim, t, heads, shape_.head_dim,
                batch.positions.data(), rotary_.cos.data(), rotary_.sin.data());
  return rotated;
}

at::Tensor AttentionBlock::RotatedBackward(const Batch& batch, at::Tensor dheads,
                                           const at::Tensor& projected, int64_t heads,
                                           const std::optional<RmsNorm>& norm,
                                           const at::Tensor& inv_rms) const {
  const int64_t t = batch.size();
  kernels::Rope(workspace_.pool, dheads.data_ptr<float>(), heads * shape_.head_dim, t, heads,
                shape_.head_dim, batch.positions.data(), rotary_.cos.data(), rotary_.sin.data(),
                /*inverse=*/true);
  if (clip_ > 0) {
    const at::Tensor clamped = workspace_.activations.New(dheads.sizes());
    NormAndClamp(projected.data_ptr<float>(), t, heads, norm, clamped.data_ptr<float>(), nullptr);
    kernels::ClampBackward(workspace_.pool, clamped.data_ptr<float>(), clamped.numel(), clip_,
                           dheads.data_ptr<float>());
  }
  if (!norm) return dheads;
  at::Tensor dprojected = workspace_.activations.New(dheads.sizes());
  norm->Backward(dheads.data_ptr<float>(), projected.data_ptr<float>(), inv_rms.data_ptr<float>(),
                 dheads.numel() / norm->width(), dprojected.data_ptr<float>());
  return dprojected;
}

absl::StatusOr<at::Tensor> AttentionBlock::Forward(const Batch& batch, const at::Tensor& x_TH,
                                                   std::unique_ptr<Saved>* saved) {
  const int64_t t = batch.size();
  const int64_t h = x_TH.size(1);
  auto kept = std::make_unique<Kept>();
  kept->x = x_TH;
  kept->inv_rms = workspace_.activations.New({t});
  kept->q = workspace_.activations.New({t, q_proj_.out()});
  kept->k = workspace_.activations.New({t, k_proj_.out()});
  kept->v = workspace_.activations.New({t, v_proj_.out()});
  kept->q_inv = workspace_.activations.New({t, shape_.heads});
  kept->k_inv = workspace_.activations.New({t, shape_.kv_heads});
  kept->out = workspace_.activations.New({t, q_proj_.out()});
  kept->lse = workspace_.activations.New({t, shape_.heads});
  at::Tensor y = workspace_.activations.New({t, h});  // first the normed input, then the result
  if (t > 0) {
    norm_.Forward(x_TH.data_ptr<float>(), t, y.data_ptr<float>(), kept->inv_rms.data_ptr<float>());
    q_proj_.Forward(y.data_ptr<float>(), t, kept->q.data_ptr<float>(), q_proj_.out());
    k_proj_.Forward(y.data_ptr<float>(), t, kept->k.data_ptr<float>(), k_proj_.out());
    v_proj_.Forward(y.data_ptr<float>(), t, kept->v.data_ptr<float>(), v_proj_.out());
    if (clip_ > 0) {
      kernels::Clamp(workspace_.pool, kept->v.data_ptr<float>(), kept->v.numel(), clip_);
    }
    const at::Tensor q = Rotated(batch, kept->q, shape_.heads, q_norm_, &kept->q_inv);
    const at::Tensor k = Rotated(batch, kept->k, shape_.kv_heads, k_norm_, &kept->k_inv);
    AttendPacked(workspace_, shape_, batch, q.data_ptr<float>(), k.data_ptr<float>(),
                 kept->v.data_ptr<float>(), k.size(1), kept->out.data_ptr<float>(),
                 kept->lse.data_ptr<float>());
    o_proj_.Forward(kept->out.data_ptr<float>(), t, y.data_ptr<float>(), h);
    kernels::AddInPlace(workspace_.pool, y.data_ptr<float>(), x_TH.data_ptr<float>(), t * h);
  }
  if (saved != nullptr) *saved = std::move(kept);
  return y;
}

absl::StatusOr<at::Tensor> AttentionBlock::Backward(const Batch& batch, const at::Tensor& dy_TH,
                                                    const Saved& saved) {
  const auto& kept = static_cast<const Kept&>(saved);
  const int64_t t = batch.size();
  const int64_t h = dy_TH.size(1);
  at::Tensor dx = workspace_.activations.New({t, h});
  if (t == 0) return dx;
  const float* dy = dy_TH.data_ptr<float>();

  at::Tensor dout = workspace_.activations.New({t, o_proj_.in()});
  o_proj_.BackwardInput(dy, t, dout.data_ptr<float>(), /*accumulate=*/false);
  AddWeightGradients(workspace_, kept.out.data_ptr<float>(), t, {{&o_proj_, dy}});

  const at::Tensor q = Rotated(batch, kept.q, shape_.heads, q_norm_, nullptr);
  const at::Tensor k = Rotated(batch, kept.k, shape_.kv_heads, k_norm_, nullptr);
  at::Tensor dq = workspace_.activations.New(q.sizes());
  at::Tensor dk = workspace_.activations.New(k.sizes());
  const at::Tensor dv = workspace_.activations.New(k.sizes());
  kernels::AttentionBackward(workspace_.pool, shape_, batch.starts, q.data_ptr<float>(),
                             k.data_ptr<float>(), kept.v.data_ptr<float>(), q.size(1), k.size(1),
                             kept.out.data_ptr<float>(), kept.lse.data_ptr<float>(),
                             dout.data_ptr<float>(), dq.data_ptr<float>(), dk.data_ptr<float>(),
                             dv.data_ptr<float>(), q.size(1), k.size(1));
  dq = RotatedBackward(batch, dq, kept.q, shape_.heads, q_norm_, kept.q_inv);
  dk = RotatedBackward(batch, dk, kept.k, shape_.kv_heads, k_norm_, kept.k_inv);

  if (clip_ > 0) {
    kernels::ClampBackward(workspace_.pool, kept.v.data_ptr<float>(), kept.v.numel(), clip_,
                           dv.data_ptr<float>());
  }

  const at::Tensor normed = workspace_.activations.New({t, h});
  norm_.Forward(kept.x.data_ptr<float>(), t, normed.data_ptr<float>(), nullptr);
  AddWeightGradients(workspace_, normed.data_ptr<float>(), t,
                     {{&q_proj_, dq.data_ptr<float>()},
                      {&k_proj_, dk.data_ptr<float>()},
                      {&v_proj_, dv.data_ptr<float>()}});

  float* dnormed = normed.data_ptr<float>();  // the normed input is used up
  q_proj_.BackwardInput(dq.data_ptr<float>(), t, dnormed, /*accumulate=*/false);
  k_proj_.BackwardInput(dk.data_ptr<float>(), t, dnormed, /*accumulate=*/true);
  v_proj_.BackwardInput(dv.data_ptr<float>(), t, dnormed, /*accumulate=*/true);
  norm_.Backward(dnormed, kept.x.data_ptr<float>(), kept.inv_rms.data_ptr<float>(), t,
                 dx.data_ptr<float>());
  kernels::AddInPlace(workspace_.pool, dx.data_ptr<float>(), dy, t * h);
  return dx;
}

}  // namespace ponder::moe
