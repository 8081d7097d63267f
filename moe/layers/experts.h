// Experts: the SwiGLU experts of one MoE layer that this rank owns, on rows sorted by expert.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/types/span.h"
#include "moe/layers/linear.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

class Experts {
 public:
  struct Kept {
    at::Tensor gate, up;  // [R, F]
  };
  // Parameters `prefix` + "experts.<e>.gate_proj.weight" and so on.
  Experts(const ParameterStore& parameters, const std::string& prefix, ExpertShard shard,
          Workspace& workspace);

  void Pack();
  // Rows [offsets[e], offsets[e + 1]) of x [R, H] through owned expert e; fills `kept`. [R, H]
  at::Tensor Forward(const at::Tensor& x_RH, absl::Span<const int64_t> offsets, Kept* kept) const;
  // dx [R, H]
  at::Tensor Backward(const at::Tensor& dy_RH, const at::Tensor& x_RH,
                      absl::Span<const int64_t> offsets, const Kept& kept) const;

 private:
  // One projection of every owned expert.
  using Projection = std::vector<std::unique_ptr<Linear>>;

  // y = x times each expert's matrix, forward or transposed.
  void Multiply(const Projection& projection, bool transposed, const at::Tensor& x,
                absl::Span<const int64_t> offsets, const at::Tensor& y) const;
  // Adds dy^T x to the weight gradients of every (projection, dy); they share x.
  void AddWeightGradients(
      absl::Span<const std::pair<const Projection*, const at::Tensor*>> projections,
      const at::Tensor& x, absl::Span<const int64_t> offsets) const;

  Workspace& workspace_;
  int64_t intermediate_ = 0;  // F
  Projection gate_proj_;
  Projection up_proj_;
  Projection down_proj_;
};

}  // namespace ponder::moe
