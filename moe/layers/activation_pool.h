// ActivationPool: float tensors whose memory is used again. A machine.
//
// A training step makes and drops hundreds of activations of some megabytes; asking the system for
// each would spend a third of the step on clearing pages. Tensors may outlive the pool and may be
// dropped on any thread.
#pragma once

#include <memory>

#include "ATen/core/Tensor.h"

namespace ponder::moe {

class ActivationPool {
 public:
  ActivationPool();

  // float32, contiguous, uninitialised.
  at::Tensor New(at::IntArrayRef shape);
  // The same, zero.
  at::Tensor Zeros(at::IntArrayRef shape);

 private:
  class Idle;
  std::shared_ptr<Idle> idle_;  // shared with the tensors that will come back to it
};

}  // namespace ponder::moe
