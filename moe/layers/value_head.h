// ValueHead: final norm and one number a row, of chosen rows: the output of value and reward
// models.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "moe/layers/linear.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/row_norm.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

// A machine: adds to the gradients of its parameters.
class ValueHead {
 public:
  // `head` is [1, H].
  ValueHead(ParameterView norm, float eps, ParameterView head, Workspace& workspace);

  void Pack() { head_.Pack(); }
  // [N] for rows [N] of x [T, H].
  at::Tensor Forward(const at::Tensor& x_TH, const std::vector<int32_t>& rows) const;
  // dx [T, H] from dvalue [N].
  at::Tensor Backward(const at::Tensor& dvalue_N, const at::Tensor& x_TH,
                      const std::vector<int32_t>& rows) const;

 private:
  Workspace& workspace_;
  RowNorm norm_;
  Linear head_;
};

}  // namespace ponder::moe
