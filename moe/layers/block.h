// Block: one residual branch of the decoder, x -> x + f(x), and its derivative. A seam: attention,
// dense and MoE blocks.
#pragma once

#include <memory>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "moe/layers/batch.h"

namespace ponder::moe {

class Block {
 public:
  // What a block keeps from forward to backward.
  struct Saved {
    virtual ~Saved() = default;
  };
  virtual ~Block() = default;

  // Repacks the weights; after every change of parameters.
  virtual void Pack() = 0;
  // y [T, H], a new tensor. `saved` null: no backward will follow.
  virtual absl::StatusOr<at::Tensor> Forward(const Batch& batch, const at::Tensor& x_TH,
                                             std::unique_ptr<Saved>* saved) = 0;
  // dx [T, H], a new tensor; adds to the gradients of the parameters.
  virtual absl::StatusOr<at::Tensor> Backward(const Batch& batch, const at::Tensor& dy_TH,
                                              const Saved& saved) = 0;
};

}  // namespace ponder::moe
