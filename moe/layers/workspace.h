// Workspace: what the layers of one decoder share: threads and memory.
#pragma once

#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/gemm.h"
#include "moe/kernels/thread_pool.h"
#include "moe/layers/activation_pool.h"

namespace ponder::moe {

// A machine; one per decoder, outlives its layers.
struct Workspace {
  explicit Workspace(int threads) : pool(threads) {}

  kernels::ThreadPool pool;
  ActivationPool activations;
  kernels::AlignedBuffer kv_pages;           // of one layer's attention forward
  kernels::PackedMatrix packed_activations;  // of one weight gradient, see AddWeightGradients
};

}  // namespace ponder::moe
