// Embedding: token ids to rows of a table. A machine: adds to the table's gradient in token order.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

class Embedding {
 public:
  Embedding(ParameterView parameter, Workspace& workspace);

  // [T, H]
  at::Tensor Forward(const std::vector<int32_t>& tokens_T) const;
  void Backward(const std::vector<int32_t>& tokens_T, const at::Tensor& dx_TH) const;

 private:
  ParameterView parameter_;  // [V, H]
  Workspace& workspace_;
};

}  // namespace ponder::moe
