// Workspace: what the layers of one decoder share: its thread pool and scratch memory that no layer
// keeps.
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/gemm.h"
#include "moe/kernels/thread_pool.h"

namespace ponder::moe {

// A machine; one per decoder, outlives its layers.
struct Workspace {
  explicit Workspace(int threads) : pool(threads) {}

  kernels::ThreadPool pool;
  kernels::AlignedBuffer kv_pages;           // of one layer's attention forward
  kernels::PackedMatrix packed_activations;  // of one weight gradient, see AddWeightGradients
};

// float32, uninitialised.
at::Tensor NewActivation(at::IntArrayRef shape);
at::Tensor ZeroActivation(at::IntArrayRef shape);

}  // namespace ponder::moe
