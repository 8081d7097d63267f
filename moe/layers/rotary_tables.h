// RotaryTables: cos and sin of every position. A value, shared by the attention blocks of a decoder.
#pragma once

#include "moe/kernels/aligned_buffer.h"
#include "moe/model_config.h"

namespace ponder::moe {

struct RotaryTables {
  explicit RotaryTables(const ModelConfig& config);

  kernels::AlignedBuffer cos;  // [max_position_embeddings, rope_dim / 2]
  kernels::AlignedBuffer sin;
};

}  // namespace ponder::moe
