// Qwen2MoeForCausalLM: biases on q, k and v; a shared expert behind a sigmoid gate.
#include "moe/families/family.h"

namespace ponder::moe {
namespace {

ModelConfig Qwen2MoeDefaults() {
  ModelConfig config;
  config.qk_norm = QkNorm::kNone;
  config.attention_bias = true;
  config.max_position_embeddings = 32768;
  config.eos_token_id = -1;
  config.num_key_value_heads = 16;
  config.num_experts = 60;
  config.num_experts_per_tok = 4;
  config.moe_intermediate_size = 1408;
  config.shared_expert_intermediate_size = 5632;
  config.norm_topk_prob = false;
  return config;
}

void ReadQwen2Moe(ConfigReader& reader, ModelConfig* config) {
  reader.ReadHeads(config);
  bool windowed = false;
  reader.Read("use_sliding_window", &windowed);
  if (windowed) reader.ReadSlidingWindow(config);
  reader.Read("qkv_bias", &config->attention_bias);
  reader.Read("num_experts", &config->num_experts);
  reader.Read("num_experts_per_tok", &config->num_experts_per_tok);
  reader.Read("moe_intermediate_size", &config->moe_intermediate_size);
  reader.Read("shared_expert_intermediate_size", &config->shared_expert_intermediate_size);
  reader.Read("norm_topk_prob", &config->norm_topk_prob);
  reader.Read("decoder_sparse_step", &config->decoder_sparse_step);
  reader.Read("mlp_only_layers", &config->mlp_only_layers);
  if (config->num_experts == 0) config->shared_expert_intermediate_size = 0;
}

}  // namespace

const Family kQwen2Moe = {"Qwen2MoeForCausalLM", "qwen2_moe", ReadQwen2Moe, Qwen2MoeDefaults,
                          nullptr};

}  // namespace ponder::moe
