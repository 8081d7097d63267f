// See linear.h.
#include "moe/layers/linear.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "moe/kernels/elementwise.h"

namespace ponder::moe {

Linear::Linear(Workspace& workspace, const ParameterStore& parameters, const std::string& prefix)
    : Linear(workspace, parameters.View(prefix + ".weight"),
             parameters.Has(prefix + ".bias") ? std::make_optional(parameters.View(prefix + ".bias"))
                                              : std::nullopt) {}

Linear::Linear(Workspace& workspace, ParameterView parameter, std::optional<ParameterView> bias)
    : workspace_(workspace), parameter_(std::move(parameter)), bias_(std::move(bias)) {
  PONDER_CHECK(parameter_.shape.size() == 2, "rank ", parameter_.shape.size());
}

void Linear::Pack() {
  forward_.Pack(workspace_.pool, parameter_.weight, in(), out(), /*k_stride=*/1, /*n_stride=*/in());
  backward_.Pack(workspace_.pool, parameter_.weight, out(), in(), /*k_stride=*/in(),
                 /*n_stride=*/1);
}

void Linear::Forward(const float* x, int64_t rows, float* y, int64_t ldy) const {
  if (rows == 0) return;
  kernels::Gemm(workspace_.pool, x, in(), 1, rows, forward_, y, ldy);
  if (!bias_) return;
  PONDER_CHECK(ldy == out(), ldy, " != ", out());
  kernels::AddBias(workspace_.pool, bias_->weight, rows, out(), y);
}

void Linear::BackwardBias(const float* dy, int64_t rows) const {
  if (bias_ && rows > 0) {
    kernels::AddBiasBackward(workspace_.pool, dy, rows, out(), bias_->gradient);
  }
}

void Linear::BackwardInput(const float* dy, int64_t rows, float* dx, bool accumulate) const {
  if (rows == 0) return;
  kernels::Gemm(workspace_.pool, dy, out(), 1, rows, backward_, dx, in(), accumulate);
}

void Linear::BackwardWeight(const float* dy, const kernels::PackedMatrix& x) const {
  kernels::Gemm(workspace_.pool, dy, /*row_stride=*/1, /*col_stride=*/out(), out(), x,
                parameter_.gradient, in(), /*accumulate=*/true);
}

void AddWeightGradients(Workspace& workspace, const float* x, int64_t rows,
                        absl::Span<const OutputGradient> gradients) {
  constexpr int64_t kPackedFloats = 1 << 16;  // stays in a core's second-level cache
  const int64_t in = gradients.front().linear->in();
  for (const OutputGradient& gradient : gradients) gradient.linear->BackwardBias(gradient.dy, rows);
  const int64_t chunk = std::max<int64_t>(32, kPackedFloats / in);
  for (int64_t first = 0; first < rows; first += chunk) {
    workspace.packed_activations.Pack(workspace.pool, x + first * in, std::min(chunk, rows - first),
                                      in, /*k_stride=*/in, /*n_stride=*/1);
    for (const OutputGradient& gradient : gradients) {
      PONDER_CHECK(gradient.linear->in() == in, gradient.linear->in(), " != ", in);
      gradient.linear->BackwardWeight(gradient.dy + first * gradient.linear->out(),
                                      workspace.packed_activations);
    }
  }
}

}  // namespace ponder::moe
