// RmsNorm: the learned root-mean-square normalisation of rows (Zhang & Sennrich, 1910.07467).
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

// A machine: knows its parameter and adds to its gradient.
class RmsNorm {
 public:
  RmsNorm(Workspace& workspace, ParameterView parameter, float eps);

  int64_t width() const { return parameter_.shape[0]; }
  // y [rows, width]; inv_rms [rows], for backward, may be null.
  void Forward(const float* x, int64_t rows, float* y, float* inv_rms) const;
  // dx [rows, width] is overwritten and may not be dy.
  void Backward(const float* dy, const float* x, const float* inv_rms, int64_t rows,
                float* dx) const;

 private:
  Workspace& workspace_;
  ParameterView parameter_;
  float eps_;
};

}  // namespace ponder::moe
