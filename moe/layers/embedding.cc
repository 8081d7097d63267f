// See embedding.h.
#include "moe/layers/embedding.h"

#include <ATen/ATen.h>

#include <utility>

#include "moe/kernels/routing.h"

namespace ponder::moe {

Embedding::Embedding(ParameterView parameter, Workspace& workspace)
    : parameter_(std::move(parameter)), workspace_(workspace) {}

at::Tensor Embedding::Forward(const std::vector<int32_t>& tokens_T) const {
  const int64_t t = tokens_T.size();
  const int64_t h = parameter_.shape[1];
  at::Tensor x = workspace_.activations.New({t, h});
  if (t > 0) {
    kernels::GatherRows(workspace_.pool, parameter_.weight, tokens_T.data(), t, h,
                        x.data_ptr<float>());
  }
  return x;
}

void Embedding::Backward(const std::vector<int32_t>& tokens_T, const at::Tensor& dx_TH) const {
  const int64_t h = parameter_.shape[1];
  if (parameter_.gradient == nullptr) return;
  const float* dx = dx_TH.data_ptr<float>();
  // Threads share the columns, so that each sum goes over the tokens in order.
  workspace_.pool.ParallelFor(h, 32, [&](int64_t begin, int64_t end) {
    for (size_t t = 0; t < tokens_T.size(); ++t) {
      float* gradient = parameter_.gradient + tokens_T[t] * h;
      for (int64_t i = begin; i < end; ++i) gradient[i] += dx[t * h + i];
    }
  });
}

}  // namespace ponder::moe
