// See linear.h.
#include "moe/layers/linear.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "moe/kernels/elementwise.h"

namespace ponder::moe {
namespace {

// Rows of x [rows, in] that are packed at a time: half a megabyte stays in a core's second-level
// cache, and the gradient, which lies in memory, is passed over once for each.
int64_t ChunkRows(int64_t in) { return std::max<int64_t>(32, (int64_t{1} << 17) / in); }

// Without dW, and without its memory.
void AddLowRankGradient(Workspace& workspace, const ParameterView& parameter, const float* dy,
                        int64_t dy_stride, const float* x, int64_t x_stride, int64_t rows) {
  const LowRank& adapter = *parameter.adapter;
  const int64_t out = parameter.shape[0], in = parameter.shape[1], rank = adapter.rank;
  kernels::ThreadPool& pool = workspace.pool;
  kernels::PackedMatrix a, b;  // [in, r], [out, r]
  a.Pack(pool, adapter.a, in, rank, /*k_stride=*/1, /*n_stride=*/in);
  b.Pack(pool, adapter.b + parameter.first_row * rank, out, rank, /*k_stride=*/rank,
         /*n_stride=*/1);
  float* db = adapter.db + parameter.first_row * rank;
  std::vector<float> xa, dyb;  // [n, r]
  for (int64_t first = 0; first < rows; first += ChunkRows(in)) {
    const int64_t n = std::min(ChunkRows(in), rows - first);
    const float* x_n = x + first * x_stride;
    const float* dy_n = dy + first * dy_stride;
    xa.resize(n * rank);
    dyb.resize(n * rank);
    kernels::Gemm(pool, x_n, x_stride, 1, n, a, xa.data(), rank);
    kernels::Gemm(pool, dy_n, dy_stride, 1, n, b, dyb.data(), rank);
    for (std::vector<float>* product : {&xa, &dyb}) {
      for (float& value : *product) value *= adapter.scale;
    }
    kernels::PackedMatrix& packed = workspace.packed_activations;
    packed.Pack(pool, xa.data(), n, rank, /*k_stride=*/rank, /*n_stride=*/1);
    kernels::Gemm(pool, dy_n, 1, dy_stride, out, packed, db, rank, /*accumulate=*/true);
    packed.Pack(pool, x_n, n, in, /*k_stride=*/x_stride, /*n_stride=*/1);
    kernels::Gemm(pool, dyb.data(), 1, rank, rank, packed, adapter.da, in, /*accumulate=*/true);
  }
}

}  // namespace

void AddMatrixGradient(Workspace& workspace, const ParameterView& parameter, const float* dy,
                       int64_t dy_stride, const float* x, int64_t x_stride, int64_t rows) {
  if (parameter.adapted()) {
    AddLowRankGradient(workspace, parameter, dy, dy_stride, x, x_stride, rows);
  } else if (parameter.gradient != nullptr) {
    const int64_t in = parameter.shape[1];
    workspace.packed_activations.Pack(workspace.pool, x, rows, in, x_stride, /*n_stride=*/1);
    kernels::Gemm(workspace.pool, dy, 1, dy_stride, parameter.shape[0],
                  workspace.packed_activations, parameter.gradient, in, /*accumulate=*/true);
  }
}

Linear::Linear(Workspace& workspace, const ParameterStore& parameters, const std::string& prefix)
    : Linear(workspace, parameters.View(prefix + ".weight"),
             parameters.Has(prefix + ".bias")
                 ? std::make_optional(parameters.View(prefix + ".bias"))
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
  if (bias_ && bias_->gradient != nullptr && rows > 0) {
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
  const int64_t in = gradients.front().linear->in();
  std::vector<OutputGradient> dense;
  for (const OutputGradient& gradient : gradients) {
    const ParameterView& parameter = gradient.linear->parameter();
    PONDER_CHECK(gradient.linear->in() == in, gradient.linear->in(), " != ", in);
    gradient.linear->BackwardBias(gradient.dy, rows);
    if (parameter.adapted()) {
      AddLowRankGradient(workspace, parameter, gradient.dy, gradient.linear->out(), x, in, rows);
    } else if (parameter.gradient != nullptr) {
      dense.push_back(gradient);
    }
  }
  const int64_t chunk = ChunkRows(in);
  for (int64_t first = 0; !dense.empty() && first < rows; first += chunk) {
    workspace.packed_activations.Pack(workspace.pool, x + first * in, std::min(chunk, rows - first),
                                      in, /*k_stride=*/in, /*n_stride=*/1);
    for (const OutputGradient& gradient : dense) {
      gradient.linear->BackwardWeight(gradient.dy + first * gradient.linear->out(),
                                      workspace.packed_activations);
    }
  }
}

}  // namespace ponder::moe
