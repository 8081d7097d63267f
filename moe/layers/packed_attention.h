// Attention of packed sequences by the pages of inference, so that the bits agree.
#pragma once

#include <cstdint>

#include "moe/kernels/attention.h"
#include "moe/layers/batch.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

// out [T, NH, DV], lse [T, NH] from q [T, NH, D] and k, v with rows kv_stride apart.
void AttendPacked(Workspace& workspace, const kernels::AttentionShape& shape, const Batch& batch,
                  const float* q, const float* k, const float* v, int64_t kv_stride, float* out,
                  float* lse);

}  // namespace ponder::moe
