// See shared_mlp.h.
#include "moe/layers/shared_mlp.h"

#include <ATen/ATen.h>

#include <cmath>

#include "moe/kernels/elementwise.h"
#include "moe/layers/weighted_rows.h"
#include "moe/shared_expert.h"

namespace ponder::moe {

SharedMlp::SharedMlp(const ParameterStore& parameters, const std::string& prefix,
                     Workspace& workspace)
    : workspace_(workspace),
      mlp_(parameters, prefix + "shared_expert.", workspace) {
  if (parameters.Has(prefix + "shared_expert_gate.weight")) {
    gate_.emplace(workspace, parameters, prefix + "shared_expert_gate");
  }
}

void SharedMlp::Pack() {
  mlp_.Pack();
  if (gate_) gate_->Pack();
}

void SharedMlp::Forward(const float* x_TH, int64_t t, float* y_TH, Kept* kept) const {
  const int64_t h = mlp_.width();
  const at::Tensor out = workspace_.activations.New({t, h});
  mlp_.Forward(x_TH, t, out.data_ptr<float>(), &kept->mlp);
  if (!gate_) {
    kernels::AddInPlace(workspace_.pool, y_TH, out.data_ptr<float>(), t * h);
    return;
  }
  kept->out = out;
  kept->gate = workspace_.activations.New({t});
  gate_->Forward(x_TH, t, kept->gate.data_ptr<float>(), 1);
  AddGatedRows(kept->out.data_ptr<float>(), kept->gate.data_ptr<float>(), t, h, y_TH);
}

void SharedMlp::Backward(const float* dy_TH, const float* x_TH, int64_t t, const Kept& kept,
                         float* dx_TH) const {
  if (!gate_) {
    mlp_.Backward(dy_TH, x_TH, t, kept.mlp, dx_TH);
    return;
  }
  const int64_t h = mlp_.width();
  const at::Tensor dout = workspace_.activations.New({t, h});
  const at::Tensor dgate = workspace_.activations.New({t});
  const float* gate = kept.gate.data_ptr<float>();
  const float* out = kept.out.data_ptr<float>();
  float* dout_TH = dout.data_ptr<float>();
  float* dgate_T = dgate.data_ptr<float>();
  workspace_.pool.ParallelFor(t, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float weight = 1.0f / (1.0f + std::exp(-gate[i]));
      const float dweight =
          WeightedRowBackward(dy_TH + i * h, out + i * h, weight, h, dout_TH + i * h);
      dgate_T[i] = dweight * weight * (1 - weight);
    }
  });
  mlp_.Backward(dout_TH, x_TH, t, kept.mlp, dx_TH);
  gate_->BackwardInput(dgate_T, t, dx_TH, /*accumulate=*/true);
  AddWeightGradients(workspace_, x_TH, t, {{&*gate_, dgate_T}});
}

}  // namespace ponder::moe
