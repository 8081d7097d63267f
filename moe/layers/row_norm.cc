// See row_norm.h.
#include "moe/layers/row_norm.h"

#include <ATen/ATen.h>

#include <utility>

#include "moe/kernels/routing.h"

namespace ponder::moe {

RowNorm::RowNorm(ParameterView norm, float eps, Workspace& workspace)
    : workspace_(workspace), norm_(workspace, std::move(norm), eps) {}

at::Tensor RowNorm::Gather(const at::Tensor& x_TH, const std::vector<int32_t>& rows) const {
  const int64_t n = rows.size();
  at::Tensor gathered = workspace_.activations.New({n, norm_.width()});
  if (n > 0) {
    kernels::GatherRows(workspace_.pool, x_TH.data_ptr<float>(), rows.data(), n, norm_.width(),
                        gathered.data_ptr<float>());
  }
  return gathered;
}

at::Tensor RowNorm::Forward(const at::Tensor& x_TH, const std::vector<int32_t>& rows) const {
  const int64_t n = rows.size();
  at::Tensor x = Gather(x_TH, rows);
  if (n > 0) norm_.Forward(x.data_ptr<float>(), n, x.data_ptr<float>(), nullptr);
  return x;
}

at::Tensor RowNorm::Backward(const at::Tensor& dnormed_NH, const at::Tensor& x_TH,
                             const std::vector<int32_t>& rows) const {
  const int64_t n = rows.size();
  const int64_t h = norm_.width();
  at::Tensor dx_TH = workspace_.activations.Zeros(x_TH.sizes());
  if (n == 0) return dx_TH;
  const at::Tensor x = Gather(x_TH, rows);
  const at::Tensor dx = workspace_.activations.New({n, h});  // first the normed rows
  const at::Tensor inv_rms = workspace_.activations.New({n});
  norm_.Forward(x.data_ptr<float>(), n, dx.data_ptr<float>(), inv_rms.data_ptr<float>());
  norm_.Backward(dnormed_NH.data_ptr<float>(), x.data_ptr<float>(), inv_rms.data_ptr<float>(), n,
                 dx.data_ptr<float>());
  for (int64_t i = 0; i < n; ++i) {
    float* to = dx_TH.data_ptr<float>() + rows[i] * h;
    const float* from = dx.data_ptr<float>() + i * h;
    for (int64_t j = 0; j < h; ++j) to[j] += from[j];
  }
  return dx_TH;
}

}  // namespace ponder::moe
