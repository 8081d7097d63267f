// See value_head.h.
#include "moe/layers/value_head.h"

#include <ATen/ATen.h>

#include <utility>

#include "moe/kernels/routing.h"

namespace ponder::moe {

ValueHead::ValueHead(ParameterView norm, float eps, ParameterView head, Workspace& workspace)
    : workspace_(workspace),
      norm_(workspace, std::move(norm), eps),
      head_(workspace, std::move(head)) {}

at::Tensor ValueHead::Gather(const at::Tensor& x_TH, const std::vector<int32_t>& rows) const {
  const int64_t n = rows.size();
  at::Tensor gathered = workspace_.activations.New({n, head_.in()});
  if (n > 0) {
    kernels::GatherRows(workspace_.pool, x_TH.data_ptr<float>(), rows.data(), n, head_.in(),
                        gathered.data_ptr<float>());
  }
  return gathered;
}

at::Tensor ValueHead::Forward(const at::Tensor& x_TH, const std::vector<int32_t>& rows) const {
  const int64_t n = rows.size();
  at::Tensor values = workspace_.activations.New({n});
  if (n == 0) return values;
  const at::Tensor x = Gather(x_TH, rows);
  norm_.Forward(x.data_ptr<float>(), n, x.data_ptr<float>(), nullptr);
  head_.Forward(x.data_ptr<float>(), n, values.data_ptr<float>(), 1);
  return values;
}

at::Tensor ValueHead::Backward(const at::Tensor& dvalue_N, const at::Tensor& x_TH,
                               const std::vector<int32_t>& rows) const {
  const int64_t n = rows.size();
  const int64_t h = head_.in();
  at::Tensor dx_TH = workspace_.activations.Zeros(x_TH.sizes());
  if (n == 0) return dx_TH;
  const at::Tensor x = Gather(x_TH, rows);
  const at::Tensor normed = workspace_.activations.New({n, h});
  const at::Tensor inv_rms = workspace_.activations.New({n});
  norm_.Forward(x.data_ptr<float>(), n, normed.data_ptr<float>(), inv_rms.data_ptr<float>());
  AddWeightGradients(workspace_, normed.data_ptr<float>(), n,
                     {{&head_, dvalue_N.data_ptr<float>()}});
  float* dnormed = normed.data_ptr<float>();  // the normed rows are used up
  head_.BackwardInput(dvalue_N.data_ptr<float>(), n, dnormed, /*accumulate=*/false);
  const at::Tensor dx = workspace_.activations.New({n, h});
  norm_.Backward(dnormed, x.data_ptr<float>(), inv_rms.data_ptr<float>(), n, dx.data_ptr<float>());
  for (int64_t i = 0; i < n; ++i) {
    float* to = dx_TH.data_ptr<float>() + rows[i] * h;
    const float* from = dx.data_ptr<float>() + i * h;
    for (int64_t j = 0; j < h; ++j) to[j] += from[j];
  }
  return dx_TH;
}

}  // namespace ponder::moe
