#include "moe/model_config.h"

#include <functional>
#include <set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace model_config_test {

using ::testing::HasSubstr;

ModelConfig SmallConfig() {
  ModelConfig config;
  config.vocab_size = 264;
  config.hidden_size = 24;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.intermediate_size = 40;
  config.first_k_dense_replace = 1;
  config.num_experts = 5;
  config.num_experts_per_tok = 2;
  config.moe_intermediate_size = 12;
  config.shared_expert_intermediate_size = 20;
  config.max_position_embeddings = 128;
  config.eos_token_id = 256;
  return config;
}

// Qwen/Qwen3-30B-A3B, whose index file says total_size 61064245248 in bfloat16.
ModelConfig Qwen3Config() {
  ModelConfig config;
  config.vocab_size = 151936;
  config.hidden_size = 2048;
  config.num_hidden_layers = 48;
  config.num_attention_heads = 32;
  config.num_key_value_heads = 4;
  config.head_dim = 128;
  config.intermediate_size = 6144;
  config.num_experts = 128;
  config.num_experts_per_tok = 8;
  config.moe_intermediate_size = 768;
  config.max_position_embeddings = 40960;
  return config;
}

int64_t Elements(const WeightManifest& layout,
                 const std::function<bool(const std::string&)>& wanted) {
  int64_t sum = 0;
  for (const TensorSpec& tensor : layout.tensors) {
    int64_t elements = 1;
    for (int64_t dim : tensor.shape) elements *= dim;
    if (wanted(tensor.name)) sum += elements;
  }
  return sum;
}

TEST(ModelConfig, CountsTheParametersOfQwen3) {
  const ParameterCount count = CountParameters(Qwen3Config());
  EXPECT_EQ(count.total, 61064245248 / 2);
  EXPECT_EQ(count.active, 3353032704);  // "A3B": 3.3 billion
}

TEST(ModelConfig, CountAgreesWithTheLayout) {
  for (int variant = 0; variant < 16; ++variant) {
    ModelConfig config = SmallConfig();
    if (variant & 1) config.tie_word_embeddings = true;
    if (variant & 2) config.qk_norm = QkNorm::kNone;
    if (variant & 4) config.shared_expert_intermediate_size = 0;
    if (variant & 8)
      config.num_experts = config.first_k_dense_replace = config.shared_expert_intermediate_size =
          0;
    ASSERT_TRUE(config.Validate().ok()) << config.Validate();
    const ParameterCount count = CountParameters(config);
    EXPECT_EQ(count.total, Elements(config.Layout(), [](const std::string&) { return true; }))
        << variant;
    // Experts beyond the first num_experts_per_tok stand for those that a token does not visit.
    const auto visited = [&](const std::string& name) {
      const size_t at = name.find("mlp.experts.");
      return at == std::string::npos ||
             std::stoll(name.substr(at + 12)) < config.num_experts_per_tok;
    };
    EXPECT_EQ(count.active, Elements(config.Layout(), visited)) << variant;
  }
}

TEST(ModelConfig, LayoutHasHuggingFaceNamesInForwardOrder) {
  const WeightManifest layout = SmallConfig().Layout(DType::kBF16);
  std::set<std::string> names;
  uint64_t at = 0;
  for (const TensorSpec& tensor : layout.tensors) {
    EXPECT_EQ(tensor.begin, at);
    at = tensor.end;
    EXPECT_EQ(tensor.dtype, DType::kBF16);
    EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
  }
  EXPECT_EQ(layout.total_bytes, at);
  EXPECT_EQ(layout.tensors.front().name, "model.embed_tokens.weight");
  EXPECT_EQ(layout.tensors.back().name, "lm_head.weight");
  for (const char* name :
       {"model.layers.0.mlp.gate_proj.weight", "model.layers.0.self_attn.q_norm.weight",
        "model.norm.weight", "model.layers.1.mlp.gate.weight",
        "model.layers.2.mlp.experts.4.down_proj.weight",
        "model.layers.2.mlp.shared_expert.up_proj.weight",
        "model.layers.2.mlp.shared_expert_gate.weight"}) {
    EXPECT_EQ(names.count(name), 1u) << name;
  }
  EXPECT_EQ(names.count("model.layers.0.mlp.gate.weight"), 0u);
}

TEST(ModelConfig, SurvivesJson) {
  ModelConfig config = SmallConfig();
  config.scoring_func = "sigmoid";
  config.norm_topk_prob = false;
  config.qk_norm = QkNorm::kNone;
  config.tie_word_embeddings = true;
  config.rope_theta = 1e6;
  config.rms_norm_eps = 1e-5;
  config.initializer_range = 0.013;
  const std::string json = config.ToJson();
  const auto back = ModelConfig::FromJson(json, "config.json");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->ToJson(), json);
  EXPECT_FALSE(back->IsMoeLayer(0));
  EXPECT_TRUE(back->IsMoeLayer(1));
  EXPECT_EQ(back->qk_norm, QkNorm::kNone);
  EXPECT_EQ(back->rms_norm_eps, 1e-5);
  const auto parsed = nlohmann::json::parse(json);
  EXPECT_EQ(parsed["architectures"][0], "Qwen3MoeForCausalLM");
  EXPECT_EQ(parsed["model_type"], "qwen3_moe");
  EXPECT_EQ(parsed["decoder_sparse_step"], 1);
  EXPECT_EQ(parsed["mlp_only_layers"], nlohmann::json::array({0}));
}

TEST(ModelConfig, RefusesJsonByKey) {
  const auto message = [](const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json json = nlohmann::json::parse(SmallConfig().ToJson());
    change(json);
    return std::string(ModelConfig::FromJson(json.dump(), "m/config.json").status().message());
  };
  EXPECT_EQ(message([](nlohmann::json&) {}), "");
  EXPECT_EQ(message([](nlohmann::json& j) { j.erase("vocab_size"); }),
            "m/config.json: key vocab_size is missing");
  EXPECT_EQ(message([](nlohmann::json& j) { j["hidden_size"] = "big"; }),
            "m/config.json: hidden_size must be an integer");
  EXPECT_THAT(message([](nlohmann::json& j) { j["mlp_only_layers"] = "all"; }),
              HasSubstr("mlp_only_layers"));
  EXPECT_THAT(message([](nlohmann::json& j) {
                j["rope_scaling"] = {{"type", "longrope"}, {"factor", 2}};
              }),
              HasSubstr("rope_scaling"));
  EXPECT_THAT(message([](nlohmann::json& j) {
                j["rope_scaling"] = {{"type", "yarn"}};
              }),
              HasSubstr("rope_scaling: factor"));
  for (const char* key : {"logit_scale", "kv_lora_rank", "partial_rotary_factor", "hidden_act"}) {
    EXPECT_THAT(message([&](nlohmann::json& j) { j[key] = 7; }), HasSubstr(key));
  }
  EXPECT_THAT(message([](nlohmann::json& j) { j["architectures"] = {"GPT2LMHeadModel"}; }),
              HasSubstr("GPT2LMHeadModel"));
  EXPECT_THAT(message([](nlohmann::json& j) { j["num_hidden_layers"] = -1; }),
              HasSubstr("num_hidden_layers"));
  EXPECT_THAT(ModelConfig::FromJson("[1]", "m/config.json").status().message(),
              HasSubstr("m/config.json"));
  EXPECT_THAT(ModelConfig::FromJson("{", "m/config.json").status().message(),
              HasSubstr("m/config.json"));
  EXPECT_THAT(ModelConfig::FromJson(R"({"rms_norm_eps": NaN})", "m/config.json").status().message(),
              HasSubstr("rms_norm_eps"));
  EXPECT_THAT(ModelConfig::FromJson(std::string(5 << 20, '['), "m/config.json").status().message(),
              HasSubstr("bytes"));
}

// What transformers' classes take where a file doesn't say.
TEST(ModelConfig, LeavesOutWhatHuggingFacesClassesHaveAsDefaults) {
  const auto read = [](const char* architecture, const char* more) {
    const std::string json = absl::StrCat(
        R"({"architectures": [")", architecture,
        R"("], "vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 8,
            "moe_intermediate_size": 8, "num_attention_heads": 32)",
        more, "}");
    const auto config = ModelConfig::FromJson(json, "config.json");
    EXPECT_TRUE(config.ok()) << architecture << ": " << config.status();
    return config.value_or(ModelConfig());
  };
  EXPECT_EQ(read("LlamaForCausalLM", "").num_key_value_heads, 32);
  EXPECT_EQ(read("OlmoeForCausalLM", "").num_key_value_heads, 32);
  EXPECT_EQ(read("MixtralForCausalLM", "").num_key_value_heads, 8);
  EXPECT_EQ(read("MixtralForCausalLM", R"(, "num_key_value_heads": null)").num_key_value_heads, 32);
  EXPECT_EQ(read("Qwen2MoeForCausalLM", "").num_key_value_heads, 16);
  EXPECT_EQ(read("Qwen3ForCausalLM", "").num_key_value_heads, 32);
  EXPECT_EQ(read("Qwen3MoeForCausalLM", "").num_key_value_heads, 4);
  EXPECT_EQ(read("Qwen3ForCausalLM", "").head_dim, 128);
  EXPECT_EQ(read("Qwen3MoeForCausalLM", "").head_dim, 2);
  EXPECT_EQ(read("MixtralForCausalLM", "").rope_theta, 1e6);
  EXPECT_EQ(read("LlamaForCausalLM", R"(, "hidden_act": "swish")").hidden_size, 64);
}

TEST(ModelConfig, ValidateNamesTheKey) {
  const auto message = [](const std::function<void(ModelConfig&)>& change) {
    ModelConfig config = SmallConfig();
    change(config);
    return std::string(config.Validate().message());
  };
  EXPECT_EQ(message([](ModelConfig&) {}), "");
  EXPECT_THAT(message([](ModelConfig& c) { c.head_dim = 7; }), HasSubstr("head_dim"));
  EXPECT_THAT(message([](ModelConfig& c) { c.num_key_value_heads = 3; }),
              HasSubstr("num_key_value_heads"));
  EXPECT_THAT(message([](ModelConfig& c) { c.num_experts_per_tok = 6; }),
              HasSubstr("num_experts_per_tok"));
  EXPECT_THAT(message([](ModelConfig& c) { c.num_experts_per_tok = 0; }),
              HasSubstr("num_experts_per_tok"));
  EXPECT_THAT(message([](ModelConfig& c) { c.first_k_dense_replace = 4; }),
              HasSubstr("first_k_dense_replace"));
  EXPECT_THAT(message([](ModelConfig& c) { c.intermediate_size = 0; }),
              HasSubstr("intermediate_size"));
  EXPECT_THAT(message([](ModelConfig& c) { c.moe_intermediate_size = 0; }),
              HasSubstr("moe_intermediate_size"));
  EXPECT_THAT(message([](ModelConfig& c) { c.scoring_func = "relu"; }), HasSubstr("scoring_func"));
  EXPECT_THAT(message([](ModelConfig& c) { c.rope_theta = 0; }), HasSubstr("rope_theta"));
  EXPECT_THAT(message([](ModelConfig& c) { c.eos_token_id = 264; }), HasSubstr("eos_token_id"));
  EXPECT_THAT(message([](ModelConfig& c) { c.vocab_size = int64_t{1} << 40; }),
              HasSubstr("vocab_size"));
  EXPECT_THAT(message([](ModelConfig& c) { c.num_experts = 0; }), HasSubstr("shared_expert"));
}

TEST(ModelConfig, RopeFrequenciesAreGeometric) {
  const std::vector<float> inv_freq = SmallConfig().rope().inv_freq;
  ASSERT_EQ(inv_freq.size(), 4u);
  EXPECT_FLOAT_EQ(inv_freq[0], 1.0f);
  EXPECT_FLOAT_EQ(inv_freq[1], 0.1f);  // 10000^(-2/8)
  EXPECT_FLOAT_EQ(inv_freq[3], 0.001f);
}

}  // namespace model_config_test
}  // namespace ponder::moe
