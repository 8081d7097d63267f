// RowNorm: the final norm of chosen rows: what a head reads of them.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/rms_norm.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

// A machine: adds to the gradient of its parameter.
class RowNorm {
 public:
  RowNorm(ParameterView norm, float eps, Workspace& workspace);

  // [N, H] for rows [N] of x [T, H].
  at::Tensor Forward(const at::Tensor& x_TH, const std::vector<int32_t>& rows) const;
  // dx [T, H] from the gradient of what Forward gave.
  at::Tensor Backward(const at::Tensor& dnormed_NH, const at::Tensor& x_TH,
                      const std::vector<int32_t>& rows) const;

 private:
  at::Tensor Gather(const at::Tensor& x_TH, const std::vector<int32_t>& rows) const;

  Workspace& workspace_;
  RmsNorm norm_;
};

}  // namespace ponder::moe
