// What an optimizer does to flat arrays of parameters. The bits don't depend on the threads or the
// instruction set.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "moe/kernels/isa/table.h"
#include "moe/kernels/thread_pool.h"

namespace ponder::kernels {

// In float64, by sixteen sums of every sixteenth element of each block of 65,536, then over blocks.
double SumOfSquares(ThreadPool& pool, absl::Span<const float> x);

// The numbers of one AdamW step (arXiv 1711.05101), as float32, and its arrays [n]:
//   g <- grad * grad_scale;  m <- m beta1 + g (1 - beta1);  v <- v beta2 + g^2 (1 - beta2)
//   theta <- theta * keep - step_size * m / (sqrt(v) / sqrt_correction2 + eps)
// Each operation is rounded by itself.
using AdamWArgs = isa::AdamWArgs;
void AdamWStep(ThreadPool& pool, const AdamWArgs& args);

void SetZero(ThreadPool& pool, absl::Span<float> x);

}  // namespace ponder::kernels
