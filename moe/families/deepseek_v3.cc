// DeepseekV3ForCausalLM: latent attention, a sigmoid router with a bias that takes part in the
// choice alone; groups score as the sum of their two best experts.
#include "moe/families/family.h"

namespace ponder::moe {
namespace {

ModelConfig DeepseekV3Defaults() {
  ModelConfig config;
  config.max_position_embeddings = 4096;
  config.eos_token_id = 1;
  config.qk_nope_head_dim = 128;
  config.qk_rope_head_dim = 64;
  config.v_head_dim = 128;
  config.moe_intermediate_size = 2048;
  config.num_experts = 256;
  config.num_experts_per_tok = 8;
  config.n_group = 8;
  config.topk_group = 4;
  config.first_k_dense_replace = 3;
  config.routed_scaling_factor = 2.5;
  config.rope_interleave = true;
  return config;
}

void ReadDeepseekV3(ConfigReader& reader, ModelConfig* config) {
  ReadDeepseek(reader, /*n_shared_experts=*/1, config);
  reader.Only("scoring_func", "\"sigmoid\"");
  reader.Only("topk_method", "\"noaux_tc\"");
  reader.Read("rope_interleave", &config->rope_interleave);
  reader.Read("norm_topk_prob", &config->norm_topk_prob);
  config->scoring_func = "sigmoid";
  config->router_selection_bias = true;
  config->group_score_top2 = true;
}

}  // namespace

const Family kDeepseekV3 = {"DeepseekV3ForCausalLM", "deepseek_v3", ReadDeepseekV3,
                            DeepseekV3Defaults, DeepseekFileName};

}  // namespace ponder::moe
