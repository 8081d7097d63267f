// Linear: y = x W^T (+ b) with W [out, in], by the kernels' Gemm in both directions. A machine:
// owns the packed copies of W.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "moe/kernels/gemm.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

class Linear {
 public:
  // Parameters `prefix`.weight and, if there is one, `prefix`.bias.
  Linear(Workspace& workspace, const ParameterStore& parameters, const std::string& prefix);
  Linear(Workspace& workspace, ParameterView parameter,
         std::optional<ParameterView> bias = std::nullopt);

  // Repacks W; after every change of the parameter.
  void Pack();

  int64_t in() const { return parameter_.shape[1]; }
  int64_t out() const { return parameter_.shape[0]; }
  const kernels::PackedMatrix& packed() const { return forward_; }              // [in, out]
  const kernels::PackedMatrix& packed_transposed() const { return backward_; }  // [out, in]

  // y [rows, out] (row stride ldy; out where there is a bias) = x [rows, in] W^T + b.
  void Forward(const float* x, int64_t rows, float* y, int64_t ldy) const;
  // dx [rows, in] (+)= dy [rows, out] W.
  void BackwardInput(const float* dy, int64_t rows, float* dx, bool accumulate) const;
  // b's gradient += the sum of dy's rows.
  void BackwardBias(const float* dy, int64_t rows) const;
  const ParameterView& parameter() const { return parameter_; }
  // W's gradient += dy^T x for dy [rows, out] and packed x [rows, in]: one chain over the rows.
  void BackwardWeight(const float* dy, const kernels::PackedMatrix& x) const;

 private:
  Workspace& workspace_;
  ParameterView parameter_;
  std::optional<ParameterView> bias_;  // [out]
  kernels::PackedMatrix forward_;
  kernels::PackedMatrix backward_;
};

// Adds what dW = dy^T x, of dy [rows, out] and x [rows, in], is to the parameter [out, in]: to its
// gradient, to those of its adapter if it has one (dB += scale dy^T (x A^T), dA += scale (dy B)^T
// x), or nothing, if it is frozen.
void AddMatrixGradient(Workspace& workspace, const ParameterView& parameter, const float* dy,
                       int64_t dy_stride, const float* x, int64_t x_stride, int64_t rows);

// What came back for y = x W^T.
struct OutputGradient {
  const Linear* linear = nullptr;
  const float* dy = nullptr;  // [rows, out]
};
// Adds dy^T x to the weight gradient, and dy to the bias's, of every linear that was fed x [rows,
// in]. Each sum is one chain over the rows in order, though x is packed a cacheful of rows at a
// time.
void AddWeightGradients(Workspace& workspace, const float* x, int64_t rows,
                        absl::Span<const OutputGradient> gradients);

}  // namespace ponder::moe
