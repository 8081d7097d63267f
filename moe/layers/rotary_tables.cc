// See rotary_tables.h.
#include "moe/layers/rotary_tables.h"

#include "moe/kernels/elementwise.h"

namespace ponder::moe {

RotaryTables::RotaryTables(const ModelConfig& config) {
  const RopeFrequencies rope = config.rope();
  const int64_t half = static_cast<int64_t>(rope.inv_freq.size());
  cos.Resize(config.max_position_embeddings * half);
  sin.Resize(config.max_position_embeddings * half);
  kernels::RopeTables(rope.inv_freq.data(), half, config.max_position_embeddings,
                      rope.attention_factor, cos.data(), sin.data());
}

}  // namespace ponder::moe
