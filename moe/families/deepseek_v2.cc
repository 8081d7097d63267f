// DeepseekV2ForCausalLM: latent attention, a softmax router whose groups score as their best
// expert.
#include "moe/families/family.h"

namespace ponder::moe {
namespace {

ModelConfig DeepseekV2Defaults() {
  ModelConfig config;
  config.max_position_embeddings = 2048;
  config.eos_token_id = 1;
  config.qk_nope_head_dim = 128;
  config.qk_rope_head_dim = 64;
  config.v_head_dim = 128;
  config.moe_intermediate_size = 1407;
  config.num_experts = 64;
  return config;
}

void ReadDeepseekV2(ConfigReader& reader, ModelConfig* config) {
  ReadDeepseek(reader, /*n_shared_experts=*/2, config);
  config->rope_interleave = true;
  reader.Only("scoring_func", "\"softmax\"");
  std::string method = "greedy";
  reader.Read("topk_method", &method);
  if (method == "greedy") {
    config->n_group = config->topk_group = 1;
  } else if (method != "group_limited_greedy") {
    reader.Only("topk_method", "\"group_limited_greedy\"");
  }
  // transformers' class has no use for norm_topk_prob.
  config->norm_topk_prob = false;
}

}  // namespace

const Family kDeepseekV2 = {"DeepseekV2ForCausalLM", "deepseek_v2", ReadDeepseekV2,
                            DeepseekV2Defaults, DeepseekFileName};

}  // namespace ponder::moe
