// LlamaForCausalLM: dense, grouped-query attention, optional biases everywhere.
#include "moe/families/family.h"

namespace ponder::moe {
namespace {

ModelConfig LlamaDefaults() {
  ModelConfig config;
  config.qk_norm = QkNorm::kNone;
  config.max_position_embeddings = 2048;
  config.eos_token_id = 2;
  return config;
}

void ReadLlama(ConfigReader& reader, ModelConfig* config) {
  reader.ReadHeads(config);
  reader.Read("attention_bias", &config->attention_bias);
  config->attention_output_bias = config->attention_bias;
  reader.Read("mlp_bias", &config->mlp_bias);
}

}  // namespace

const Family kLlama = {"LlamaForCausalLM", "llama", ReadLlama, LlamaDefaults, nullptr};

}  // namespace ponder::moe
