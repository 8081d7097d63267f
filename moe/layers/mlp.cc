// See mlp.h.
#include "moe/layers/mlp.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "moe/kernels/elementwise.h"

namespace ponder::moe {

SwiGluMlp::SwiGluMlp(const ParameterStore& parameters, const std::string& prefix,
                     Workspace& workspace)
    : workspace_(workspace),
      gate_proj_(workspace, parameters, prefix + "gate_proj"),
      up_proj_(workspace, parameters, prefix + "up_proj"),
      down_proj_(workspace, parameters, prefix + "down_proj") {}

void SwiGluMlp::Pack() {
  for (Linear* linear : {&gate_proj_, &up_proj_, &down_proj_}) linear->Pack();
}

void SwiGluMlp::Forward(const float* x_TH, int64_t t, float* y_TH, Kept* kept) const {
  const int64_t f = gate_proj_.out();
  kept->gate = workspace_.activations.New({t, f});
  kept->up = workspace_.activations.New({t, f});
  const at::Tensor hidden = workspace_.activations.New({t, f});
  gate_proj_.Forward(x_TH, t, kept->gate.data_ptr<float>(), f);
  up_proj_.Forward(x_TH, t, kept->up.data_ptr<float>(), f);
  kernels::SwiGluForward(workspace_.pool, kept->gate.data_ptr<float>(), kept->up.data_ptr<float>(),
                         t * f, hidden.data_ptr<float>());
  down_proj_.Forward(hidden.data_ptr<float>(), t, y_TH, down_proj_.out());
}

void SwiGluMlp::Backward(const float* dy_TH, const float* x_TH, int64_t t, const Kept& kept,
                         float* dx_TH) const {
  const int64_t f = gate_proj_.out();
  const float* gate = kept.gate.data_ptr<float>();
  const float* up = kept.up.data_ptr<float>();
  const at::Tensor hidden = workspace_.activations.New({t, f});
  kernels::SwiGluForward(workspace_.pool, gate, up, t * f, hidden.data_ptr<float>());
  AddWeightGradients(workspace_, hidden.data_ptr<float>(), t, {{&down_proj_, dy_TH}});

  float* dhidden = hidden.data_ptr<float>();  // the activations are used up
  down_proj_.BackwardInput(dy_TH, t, dhidden, /*accumulate=*/false);
  const at::Tensor dgate = workspace_.activations.New({t, f});
  const at::Tensor dup = workspace_.activations.New({t, f});
  kernels::SwiGluBackward(workspace_.pool, dhidden, gate, up, t * f, dgate.data_ptr<float>(),
                          dup.data_ptr<float>());

  AddWeightGradients(workspace_, x_TH, t,
                     {{&gate_proj_, dgate.data_ptr<float>()}, {&up_proj_, dup.data_ptr<float>()}});
  gate_proj_.BackwardInput(dgate.data_ptr<float>(), t, dx_TH, /*accumulate=*/true);
  up_proj_.BackwardInput(dup.data_ptr<float>(), t, dx_TH, /*accumulate=*/true);
}

struct DenseBlock::Kept : Block::Saved {
  at::Tensor x;        // [T, H]
  at::Tensor inv_rms;  // [T]
  SwiGluMlp::Kept mlp;
};

DenseBlock::DenseBlock(const ModelConfig& config, int64_t layer, const ParameterStore& parameters,
                       Workspace& workspace)
    : workspace_(workspace),
      norm_(
          workspace,
          parameters.View(absl::StrCat("model.layers.", layer, ".post_attention_layernorm.weight")),
          config.rms_norm_eps),
      mlp_(parameters, absl::StrCat("model.layers.", layer, ".mlp."), workspace) {}

absl::StatusOr<at::Tensor> DenseBlock::Forward(const Batch& batch, const at::Tensor& x_TH,
                                               std::unique_ptr<Saved>* saved) {
  const int64_t t = batch.size();
  const int64_t h = x_TH.size(1);
  auto kept = std::make_unique<Kept>();
  kept->x = x_TH;
  kept->inv_rms = workspace_.activations.New({t});
  at::Tensor y = workspace_.activations.New({t, h});
  if (t > 0) {
    const at::Tensor normed = workspace_.activations.New({t, h});
    norm_.Forward(x_TH.data_ptr<float>(), t, normed.data_ptr<float>(),
                  kept->inv_rms.data_ptr<float>());
    mlp_.Forward(normed.data_ptr<float>(), t, y.data_ptr<float>(), &kept->mlp);
    kernels::AddInPlace(workspace_.pool, y.data_ptr<float>(), x_TH.data_ptr<float>(), t * h);
  }
  if (saved != nullptr) *saved = std::move(kept);
  return y;
}

absl::StatusOr<at::Tensor> DenseBlock::Backward(const Batch& batch, const at::Tensor& dy_TH,
                                                const Saved& saved) {
  const auto& kept = static_cast<const Kept&>(saved);
  const int64_t t = batch.size();
  const int64_t h = dy_TH.size(1);
  at::Tensor dx = workspace_.activations.New({t, h});
  if (t == 0) return dx;
  const at::Tensor normed = workspace_.activations.New({t, h});
  norm_.Forward(kept.x.data_ptr<float>(), t, normed.data_ptr<float>(), nullptr);
  const at::Tensor dnormed = workspace_.activations.Zeros({t, h});
  mlp_.Backward(dy_TH.data_ptr<float>(), normed.data_ptr<float>(), t, kept.mlp,
                dnormed.data_ptr<float>());
  norm_.Backward(dnormed.data_ptr<float>(), kept.x.data_ptr<float>(),
                 kept.inv_rms.data_ptr<float>(), t, dx.data_ptr<float>());
  kernels::AddInPlace(workspace_.pool, dx.data_ptr<float>(), dy_TH.data_ptr<float>(), t * h);
  return dx;
}

}  // namespace ponder::moe
