// MixtralForCausalLM: every layer routes; the chosen experts' weights are normalised.
#include "absl/strings/str_replace.h"
#include "moe/families/family.h"

namespace ponder::moe {
namespace {

ModelConfig MixtralDefaults() {
  ModelConfig config;
  config.qk_norm = QkNorm::kNone;
  config.rms_norm_eps = 1e-5;
  config.rope_theta = 1e6;
  config.max_position_embeddings = 4096 * 32;
  config.eos_token_id = 2;
  config.num_key_value_heads = 8;
  config.num_experts = 8;
  config.num_experts_per_tok = 2;
  return config;
}

void ReadMixtral(ConfigReader& reader, ModelConfig* config) {
  reader.ReadHeads(config);
  reader.ReadSlidingWindow(config);
  reader.Only("attention_bias", "false");
  reader.Read("num_local_experts", &config->num_experts);
  reader.Read("num_experts_per_tok", &config->num_experts_per_tok);
  config->moe_intermediate_size = config->intermediate_size;
}

std::string FileName(const std::string& name) {
  return absl::StrReplaceAll(name, {{".mlp.", ".block_sparse_moe."},
                                    {".gate_proj.", ".w1."},
                                    {".down_proj.", ".w2."},
                                    {".up_proj.", ".w3."}});
}

}  // namespace

const Family kMixtral = {"MixtralForCausalLM", "mixtral", ReadMixtral, MixtralDefaults, FileName};

}  // namespace ponder::moe
