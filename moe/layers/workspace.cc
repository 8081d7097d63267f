// See workspace.h.
#include "moe/layers/workspace.h"

#include <torch/torch.h>

namespace ponder::moe {

const kernels::PackedMatrix& Workspace::PackActivations(const float* x, int64_t ld, int64_t rows,
                                                        int64_t cols) {
  packed_activations.Pack(pool, x, /*k=*/rows, /*n=*/cols, /*k_stride=*/ld, /*n_stride=*/1);
  return packed_activations;
}

at::Tensor NewActivation(at::IntArrayRef shape) { return at::empty(shape, at::kFloat); }
at::Tensor ZeroActivation(at::IntArrayRef shape) { return at::zeros(shape, at::kFloat); }

}  // namespace ponder::moe
