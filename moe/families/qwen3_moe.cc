// Qwen3MoeForCausalLM: QK-norm on each head, a softmax router. The models that `ponder init` makes
// are of this family too; what else they may have has keys that Hugging Face's class lacks:
// scoring_func, use_qk_norm, shared_expert_intermediate_size.
#include "moe/families/family.h"

namespace ponder::moe {
namespace {

ModelConfig Qwen3MoeDefaults() {
  ModelConfig config;
  config.max_position_embeddings = 32768;
  config.eos_token_id = -1;
  config.num_key_value_heads = 4;
  config.num_experts = 128;
  config.num_experts_per_tok = 8;
  config.moe_intermediate_size = 768;
  config.norm_topk_prob = false;
  return config;
}

void ReadQwen3Moe(ConfigReader& reader, ModelConfig* config) {
  reader.ReadHeads(config);
  bool windowed = false;
  reader.Read("use_sliding_window", &windowed);
  if (windowed) reader.ReadSlidingWindow(config);
  reader.Read("attention_bias", &config->attention_bias);
  config->attention_output_bias = config->attention_bias;
  reader.Read("num_experts", &config->num_experts);
  reader.Read("num_experts_per_tok", &config->num_experts_per_tok);
  reader.Read("moe_intermediate_size", &config->moe_intermediate_size);
  reader.Read("norm_topk_prob", &config->norm_topk_prob);
  reader.Read("decoder_sparse_step", &config->decoder_sparse_step);
  reader.Read("mlp_only_layers", &config->mlp_only_layers);

  bool qk_norm = true;
  reader.Read("use_qk_norm", &qk_norm);
  config->qk_norm = qk_norm ? QkNorm::kPerHead : QkNorm::kNone;
  reader.Read("scoring_func", &config->scoring_func);
  reader.Read("shared_expert_intermediate_size", &config->shared_expert_intermediate_size);
}

}  // namespace

const Family kQwen3Moe = {"Qwen3MoeForCausalLM", "qwen3_moe", ReadQwen3Moe, Qwen3MoeDefaults,
                          nullptr};

}  // namespace ponder::moe
