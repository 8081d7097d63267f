// See rms_norm.h.
#include "moe/layers/rms_norm.h"

#include <utility>

#include "moe/kernels/elementwise.h"

namespace ponder::moe {

RmsNorm::RmsNorm(Workspace& workspace, ParameterView parameter, float eps)
    : workspace_(workspace), parameter_(std::move(parameter)), eps_(eps) {}

void RmsNorm::Forward(const float* x, int64_t rows, float* y, float* inv_rms) const {
  kernels::RmsNormForward(workspace_.pool, x, parameter_.weight, rows, width(), eps_, y, inv_rms);
}

void RmsNorm::Backward(const float* dy, const float* x, const float* inv_rms, int64_t rows,
                       float* dx) const {
  kernels::RmsNormBackward(workspace_.pool, dy, x, parameter_.weight, inv_rms, rows, width(), dx,
                           parameter_.gradient);
}

}  // namespace ponder::moe
