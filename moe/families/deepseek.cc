// What DeepSeek V2 and V3 share.
#include "absl/strings/str_replace.h"
#include "moe/families/family.h"

namespace ponder::moe {

void ReadDeepseek(ConfigReader& reader, int64_t n_shared_experts, ModelConfig* config) {
  config->qk_norm = QkNorm::kNone;
  config->num_key_value_heads = config->num_attention_heads;
  reader.Read("num_key_value_heads", &config->num_key_value_heads);
  reader.Read("attention_bias", &config->attention_bias);
  config->attention_output_bias = config->attention_bias;
  reader.Only("mlp_bias", "false");
  reader.Only("moe_layer_freq", "1");
  config->kv_lora_rank = 512;
  config->q_lora_rank = reader.IsNull("q_lora_rank") ? 0 : 1536;
  reader.Read("kv_lora_rank", &config->kv_lora_rank);
  reader.Read("q_lora_rank", &config->q_lora_rank);
  reader.Read("qk_nope_head_dim", &config->qk_nope_head_dim);
  reader.Read("qk_rope_head_dim", &config->qk_rope_head_dim);
  reader.Read("v_head_dim", &config->v_head_dim);

  reader.Read("n_routed_experts", &config->num_experts);
  reader.Read("num_experts_per_tok", &config->num_experts_per_tok);
  reader.Read("moe_intermediate_size", &config->moe_intermediate_size);
  reader.Read("first_k_dense_replace", &config->first_k_dense_replace);
  reader.Read("routed_scaling_factor", &config->routed_scaling_factor);
  reader.Read("n_group", &config->n_group);
  reader.Read("topk_group", &config->topk_group);
  if (reader.IsNull("n_shared_experts")) n_shared_experts = 0;
  reader.Read("n_shared_experts", &n_shared_experts);
  config->shared_expert_intermediate_size =
      config->num_experts == 0 ? 0 : n_shared_experts * config->moe_intermediate_size;
  config->shared_expert_gate = false;
}

std::string DeepseekFileName(const std::string& name) {
  return absl::StrReplaceAll(name, {{".shared_expert.", ".shared_experts."}});
}

}  // namespace ponder::moe
