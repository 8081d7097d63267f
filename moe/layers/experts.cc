// See experts.h.
#include "moe/layers/experts.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "moe/kernels/elementwise.h"

namespace ponder::moe {

Experts::Experts(const ParameterStore& parameters, const std::string& prefix, ExpertShard shard,
                 Workspace& workspace)
    : workspace_(workspace) {
  PONDER_CHECK(shard.count > 0);
  for (int64_t e = shard.first; e < shard.first + shard.count; ++e) {
    const auto linear = [&](const char* name) {
      return std::make_unique<Linear>(
          workspace, parameters.View(absl::StrCat(prefix, "experts.", e, ".", name, ".weight")));
    };
    gate_proj_.push_back(linear("gate_proj"));
    up_proj_.push_back(linear("up_proj"));
    down_proj_.push_back(linear("down_proj"));
  }
  intermediate_ = gate_proj_.front()->out();
}

void Experts::Pack() {
  for (const Projection* projection : {&gate_proj_, &up_proj_, &down_proj_}) {
    for (const std::unique_ptr<Linear>& linear : *projection) linear->Pack();
  }
}

void Experts::Multiply(const Projection& projection, bool transposed, const at::Tensor& x,
                       absl::Span<const int64_t> offsets, const at::Tensor& y) const {
  std::vector<const kernels::PackedMatrix*> packed;
  packed.reserve(projection.size());
  for (const std::unique_ptr<Linear>& linear : projection) {
    packed.push_back(transposed ? &linear->packed_transposed() : &linear->packed());
  }
  kernels::GroupedGemm(workspace_.pool, x.data_ptr<float>(), x.size(1), offsets, packed,
                       y.data_ptr<float>(), y.size(1));
}

void Experts::AddWeightGradients(
    absl::Span<const std::pair<const Projection*, const at::Tensor*>> projections,
    const at::Tensor& x, absl::Span<const int64_t> offsets) const {
  const int64_t width = x.size(1);
  for (size_t e = 0; e + 1 < offsets.size(); ++e) {
    const int64_t first = offsets[e];
    std::vector<OutputGradient> gradients;
    for (const auto& [projection, dy] : projections) {
      gradients.push_back({(*projection)[e].get(), dy->data_ptr<float>() + first * dy->size(1)});
    }
    moe::AddWeightGradients(workspace_, x.data_ptr<float>() + first * width, offsets[e + 1] - first,
                            gradients);
  }
}

at::Tensor Experts::Forward(const at::Tensor& x_RH, absl::Span<const int64_t> offsets,
                            Kept* kept) const {
  const int64_t r = x_RH.size(0);
  kept->gate = workspace_.activations.New({r, intermediate_});
  kept->up = workspace_.activations.New({r, intermediate_});
  at::Tensor y = workspace_.activations.New(x_RH.sizes());
  if (r == 0) return y;
  const at::Tensor hidden = workspace_.activations.New({r, intermediate_});
  Multiply(gate_proj_, /*transposed=*/false, x_RH, offsets, kept->gate);
  Multiply(up_proj_, /*transposed=*/false, x_RH, offsets, kept->up);
  kernels::SwiGluForward(workspace_.pool, kept->gate.data_ptr<float>(), kept->up.data_ptr<float>(),
                         hidden.numel(), hidden.data_ptr<float>());
  Multiply(down_proj_, /*transposed=*/false, hidden, offsets, y);
  return y;
}

at::Tensor Experts::Backward(const at::Tensor& dy_RH, const at::Tensor& x_RH,
                             absl::Span<const int64_t> offsets, const Kept& kept) const {
  const int64_t r = x_RH.size(0);
  at::Tensor dx = workspace_.activations.New(x_RH.sizes());
  if (r == 0) return dx;
  const float* gate = kept.gate.data_ptr<float>();
  const float* up = kept.up.data_ptr<float>();
  const at::Tensor hidden = workspace_.activations.New({r, intermediate_});
  kernels::SwiGluForward(workspace_.pool, gate, up, hidden.numel(), hidden.data_ptr<float>());
  AddWeightGradients({{&down_proj_, &dy_RH}}, hidden, offsets);

  const at::Tensor& dhidden = hidden;  // the activations are used up
  Multiply(down_proj_, /*transposed=*/true, dy_RH, offsets, dhidden);
  const at::Tensor dgate = workspace_.activations.New({r, intermediate_});
  const at::Tensor dup = workspace_.activations.New({r, intermediate_});
  kernels::SwiGluBackward(workspace_.pool, dhidden.data_ptr<float>(), gate, up, dhidden.numel(),
                          dgate.data_ptr<float>(), dup.data_ptr<float>());
  AddWeightGradients({{&gate_proj_, &dgate}, {&up_proj_, &dup}}, x_RH, offsets);

  Multiply(gate_proj_, /*transposed=*/true, dgate, offsets, dx);
  const at::Tensor dx_up = workspace_.activations.New(x_RH.sizes());
  Multiply(up_proj_, /*transposed=*/true, dup, offsets, dx_up);
  kernels::AddInPlace(workspace_.pool, dx.data_ptr<float>(), dx_up.data_ptr<float>(), dx.numel());
  return dx;
}

}  // namespace ponder::moe
