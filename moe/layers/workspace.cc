// See workspace.h.
#include "moe/layers/workspace.h"

#include <torch/torch.h>

namespace ponder::moe {

at::Tensor NewActivation(at::IntArrayRef shape) { return at::empty(shape, at::kFloat); }
at::Tensor ZeroActivation(at::IntArrayRef shape) { return at::zeros(shape, at::kFloat); }

}  // namespace ponder::moe
