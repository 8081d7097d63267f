// Qwen3ForCausalLM: dense, QK-norm on each head, head_dim of its own.
#include "moe/families/family.h"

namespace ponder::moe {
namespace {

ModelConfig Qwen3Defaults() {
  ModelConfig config;
  config.num_key_value_heads = 32;
  config.head_dim = 128;
  config.max_position_embeddings = 32768;
  config.eos_token_id = -1;
  return config;
}

void ReadQwen3(ConfigReader& reader, ModelConfig* config) {
  reader.ReadHeads(config);
  bool windowed = false;
  reader.Read("use_sliding_window", &windowed);
  if (windowed) reader.ReadSlidingWindow(config);
  reader.Read("attention_bias", &config->attention_bias);
  config->attention_output_bias = config->attention_bias;
}

}  // namespace

const Family kQwen3 = {"Qwen3ForCausalLM", "qwen3", ReadQwen3, Qwen3Defaults, nullptr};

}  // namespace ponder::moe
