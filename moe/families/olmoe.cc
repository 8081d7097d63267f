// OlmoeForCausalLM: QK-norm over all heads together, clip_qkv; every layer routes.
#include "moe/families/family.h"

namespace ponder::moe {
namespace {

ModelConfig OlmoeDefaults() {
  ModelConfig config;
  config.qk_norm = QkNorm::kFullWidth;
  config.rms_norm_eps = 1e-5;
  config.max_position_embeddings = 4096;
  config.eos_token_id = -1;
  config.num_experts = 64;
  config.num_experts_per_tok = 8;
  config.norm_topk_prob = false;
  return config;
}

void ReadOlmoe(ConfigReader& reader, ModelConfig* config) {
  reader.ReadHeads(config);
  reader.Read("attention_bias", &config->attention_bias);
  config->attention_output_bias = config->attention_bias;
  reader.Read("clip_qkv", &config->clip_qkv);
  reader.Read("num_experts", &config->num_experts);
  reader.Read("num_experts_per_tok", &config->num_experts_per_tok);
  reader.Read("norm_topk_prob", &config->norm_topk_prob);
  config->moe_intermediate_size = config->intermediate_size;
}

}  // namespace

const Family kOlmoe = {"OlmoeForCausalLM", "olmoe", ReadOlmoe, OlmoeDefaults, nullptr};

}  // namespace ponder::moe
