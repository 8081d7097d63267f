// See decoder_cases.h.
#include "tests/moe/decoder_cases.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "base/check.h"
#include "base/philox.h"

namespace ponder::moe {

ModelConfig SmallConfig() {
  ModelConfig config;
  config.vocab_size = 37;
  config.hidden_size = 24;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.intermediate_size = 40;
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.moe_intermediate_size = 20;
  config.max_position_embeddings = 128;
  config.eos_token_id = 1;
  return config;
}

std::vector<DecoderCase> DecoderCases() {
  std::vector<DecoderCase> cases;
  const auto add = [&](const std::string& name, auto change) {
    ModelConfig config = SmallConfig();
    change(config);
    cases.push_back({name, config});
  };
  add("SoftmaxTop2", [](ModelConfig&) {});
  add("SoftmaxUnnormalised", [](ModelConfig& c) { c.norm_topk_prob = false; });
  add("Sigmoid", [](ModelConfig& c) { c.scoring_func = "sigmoid"; });
  add("DenseFirstLayer", [](ModelConfig& c) { c.first_k_dense_replace = 1; });
  add("AllDense",
      [](ModelConfig& c) { c.num_experts = c.num_experts_per_tok = c.moe_intermediate_size = 0; });
  add("SharedExpert", [](ModelConfig& c) { c.shared_expert_intermediate_size = 28; });
  add("TiedEmbeddings", [](ModelConfig& c) { c.tie_word_embeddings = true; });
  add("NoQkNorm", [](ModelConfig& c) { c.qk_norm = QkNorm::kNone; });
  add("Biases", [](ModelConfig& c) {
    c.attention_bias = c.attention_output_bias = c.mlp_bias = true;
    c.mlp_only_layers = {1};
  });
  add("FullWidthQkNormClamped", [](ModelConfig& c) {
    c.qk_norm = QkNorm::kFullWidth;
    c.clip_qkv = 1;
  });
  add("Llama3Rope", [](ModelConfig& c) {
    c.rope_scaling.type = RopeScaling::Type::kLlama3;
    c.rope_scaling.factor = 8;
    c.rope_scaling.original_max_position_embeddings = 32;
    c.decoder_sparse_step = 2;
  });
  const auto latent = [](ModelConfig& c) {
    c.qk_norm = QkNorm::kNone;
    c.kv_lora_rank = 12;
    c.qk_nope_head_dim = 6;
    c.qk_rope_head_dim = 4;
    c.v_head_dim = 10;
    c.rope_interleave = true;
    c.shared_expert_intermediate_size = 28;
    c.shared_expert_gate = false;
    c.num_experts = 8;
    c.num_experts_per_tok = 3;
    c.n_group = 4;
    c.topk_group = 2;
  };
  add("LatentAttention", [&](ModelConfig& c) {
    latent(c);
    c.norm_topk_prob = false;
  });
  add("LatentAttentionLowRankQueries", [&](ModelConfig& c) {
    latent(c);
    c.q_lora_rank = 14;
    c.attention_bias = c.attention_output_bias = true;
    c.scoring_func = "sigmoid";
    c.router_selection_bias = c.group_score_top2 = true;
    c.routed_scaling_factor = 2.5;
    c.first_k_dense_replace = 1;
    c.rope_scaling.type = RopeScaling::Type::kYarn;
    c.rope_scaling.factor = 4;
    c.rope_scaling.original_max_position_embeddings = 32;
    c.rope_scaling.beta_fast = 4;
    c.rope_scaling.mscale = 1;
    c.rope_scaling.mscale_all_dim = 0.8;
  });
  add("LatentAttentionHalves", [&](ModelConfig& c) {
    latent(c);
    c.rope_interleave = false;
  });
  add("MultiHead", [](ModelConfig& c) { c.num_key_value_heads = c.num_attention_heads; });
  return cases;
}

std::shared_ptr<const Weights> RandomWeights(const ModelConfig& config, uint64_t seed) {
  WeightManifest manifest = config.Layout();
  auto blob = std::make_shared<std::vector<uint8_t>>(manifest.total_bytes);
  Rng rng(seed, "test weights");
  for (const TensorSpec& spec : manifest.tensors) {
    const bool vector = spec.shape.size() == 1;
    const double mean = vector && !absl::EndsWith(spec.name, "bias") ? 1 : 0;
    const double deviation = vector ? 0.2 : 1 / std::sqrt(static_cast<double>(spec.shape.back()));
    for (uint64_t at = spec.begin; at < spec.end; at += sizeof(float)) {
      const float value = static_cast<float>(mean + deviation * rng.NextGaussian());
      std::memcpy(blob->data() + at, &value, sizeof(float));
    }
  }
  ComputeChecksums(*blob, &manifest);
  auto weights = Weights::Make(std::move(manifest), std::move(blob));
  PONDER_CHECK(weights.ok(), weights.status().ToString());
  return *std::move(weights);
}

PackedBatch RandomBatch(const ModelConfig& config, const std::vector<int64_t>& lengths,
                        uint64_t seed) {
  Rng rng(seed, "test batch");
  PackedBatch batch;
  for (int64_t length : lengths) {
    for (int64_t i = 0; i < length; ++i) {
      batch.tokens.push_back(static_cast<int32_t>(rng.NextInt(0, config.vocab_size - 1)));
    }
    batch.starts.push_back(batch.tokens.size());
  }
  return batch;
}

Targets RandomTargets(const ModelConfig& config, const PackedBatch& batch, uint64_t seed) {
  Rng rng(seed, "test targets");
  Targets targets;
  for (size_t row = 0; row < batch.tokens.size(); ++row) {
    if (rng.NextInt(0, 2) == 0) continue;
    targets.rows.push_back(static_cast<int32_t>(row));
    targets.targets.push_back(static_cast<int32_t>(rng.NextInt(0, config.vocab_size - 1)));
    targets.coefficients.push_back(static_cast<float>(rng.NextGaussian()));
  }
  return targets;
}

}  // namespace ponder::moe
