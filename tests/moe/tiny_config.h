// The config of a tiny model of bytes, for tests that need some model that speaks.
#pragma once

#include "moe/model_config.h"

namespace ponder::moe {

inline ModelConfig TinyByteConfig(int64_t max_position_embeddings) {
  ModelConfig config;
  config.vocab_size = 264;
  config.hidden_size = 16;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 8;
  config.intermediate_size = config.moe_intermediate_size = 16;
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.max_position_embeddings = max_position_embeddings;
  config.initializer_range = 0.5;
  config.eos_token_id = 256;
  return config;
}

}  // namespace ponder::moe
