// See value_head.h.
#include "moe/layers/value_head.h"

#include <ATen/ATen.h>

#include <utility>

namespace ponder::moe {

ValueHead::ValueHead(ParameterView norm, float eps, ParameterView head, Workspace& workspace)
    : workspace_(workspace),
      norm_(std::move(norm), eps, workspace),
      head_(workspace, std::move(head)) {}

at::Tensor ValueHead::Forward(const at::Tensor& x_TH, const std::vector<int32_t>& rows) const {
  const int64_t n = rows.size();
  at::Tensor values = workspace_.activations.New({n});
  if (n == 0) return values;
  const at::Tensor normed = norm_.Forward(x_TH, rows);
  head_.Forward(normed.data_ptr<float>(), n, values.data_ptr<float>(), 1);
  return values;
}

at::Tensor ValueHead::Backward(const at::Tensor& dvalue_N, const at::Tensor& x_TH,
                               const std::vector<int32_t>& rows) const {
  const int64_t n = rows.size();
  const at::Tensor normed = norm_.Forward(x_TH, rows);
  if (n > 0) {
    AddWeightGradients(workspace_, normed.data_ptr<float>(), n,
                       {{&head_, dvalue_N.data_ptr<float>()}});
    // The normed rows are used up.
    head_.BackwardInput(dvalue_N.data_ptr<float>(), n, normed.data_ptr<float>(),
                        /*accumulate=*/false);
  }
  return norm_.Backward(normed, x_TH, rows);
}

}  // namespace ponder::moe
