#include "moe/weights.h"

#include <cmath>
#include <functional>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder::moe {
namespace weights_test {

using ::testing::HasSubstr;

ModelConfig SmallConfig() {
  ModelConfig config;
  config.vocab_size = 264;
  config.hidden_size = 32;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.moe_intermediate_size = 16;
  config.max_position_embeddings = 64;
  return config;
}

TEST(Weights, InitIsNormalForMatricesAndOneForNorms) {
  const auto weights = InitWeights(SmallConfig(), 7);
  ASSERT_TRUE(weights->MatchesConfig(SmallConfig()).ok());
  ASSERT_TRUE(weights->VerifyChecksums().ok());
  const auto norm = *weights->F32("model.layers.1.input_layernorm.weight");
  EXPECT_THAT(norm, ::testing::Each(1.0f));
  const auto embedding = *weights->F32("model.embed_tokens.weight");
  ASSERT_EQ(embedding.size(), 264u * 32u);
  double sum = 0, squares = 0, fourth = 0;
  for (float x : embedding) {
    sum += x;
    squares += x * x;
    fourth += std::pow(x, 4);
  }
  const double n = static_cast<double>(embedding.size());
  const double deviation = std::sqrt(squares / n);
  EXPECT_NEAR(sum / n, 0, 4 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(deviation, 0.02, 4 * 0.02 / std::sqrt(2 * n));
  EXPECT_NEAR(fourth / n / std::pow(deviation, 4), 3, 0.3);  // a normal's kurtosis
}

TEST(Weights, InitIsAPureFunctionOfSeedAndTensor) {
  const auto a = InitWeights(SmallConfig(), 7);
  EXPECT_EQ(*a->blob(), *InitWeights(SmallConfig(), 7)->blob());
  const auto b = InitWeights(SmallConfig(), 8);
  const std::string name = "model.layers.0.mlp.experts.1.up_proj.weight";
  EXPECT_NE((*a->F32(name))[0], (*b->F32(name))[0]);
  EXPECT_NE((*a->F32(name))[0], (*a->F32("model.layers.0.mlp.experts.2.up_proj.weight"))[0]);
  // A tensor's values do not depend on which other tensors there are.
  ModelConfig tied = SmallConfig();
  tied.tie_word_embeddings = true;
  EXPECT_EQ((*a->F32(name))[3], (*InitWeights(tied, 7)->F32(name))[3]);
}

TEST(Weights, F32NamesWhatIsWrong) {
  const auto weights = InitWeights(SmallConfig(), 1);
  EXPECT_TRUE(absl::IsNotFound(weights->F32("nope").status()));
  EXPECT_THAT(weights->F32("nope").status().message(), HasSubstr("nope"));
  WeightManifest manifest = SmallConfig().Layout(DType::kBF16);
  const auto half =
      Weights::Make(manifest, std::make_shared<std::vector<uint8_t>>(manifest.total_bytes));
  ASSERT_TRUE(half.ok());
  EXPECT_THAT((*half)->F32("model.norm.weight").status().message(), HasSubstr("BF16"));
}

TEST(Weights, VerifyChecksumsNamesTheFlippedTensor) {
  const auto weights = InitWeights(SmallConfig(), 1);
  auto blob = std::make_shared<std::vector<uint8_t>>(*weights->blob());
  const TensorSpec& victim = weights->manifest().tensors[5];
  (*blob)[victim.end - 1] ^= 1;
  const auto damaged = *Weights::Make(weights->manifest(), blob);
  EXPECT_TRUE(absl::IsDataLoss(damaged->VerifyChecksums()));
  EXPECT_THAT(damaged->VerifyChecksums().message(), HasSubstr(victim.name));
}

TEST(Weights, MakeRefusesManifestsThatDoNotCoverTheBlob) {
  const WeightManifest good = SmallConfig().Layout();
  const auto status = [&](const std::function<void(WeightManifest&)>& change) {
    WeightManifest manifest = good;
    change(manifest);
    return Weights::Make(manifest, std::make_shared<std::vector<uint8_t>>(good.total_bytes))
        .status();
  };
  EXPECT_TRUE(status([](WeightManifest&) {}).ok());
  EXPECT_FALSE(status([](WeightManifest& m) { m.total_bytes -= 4; }).ok());
  EXPECT_FALSE(status([](WeightManifest& m) { m.tensors[1].begin += 4; }).ok());
  EXPECT_FALSE(status([](WeightManifest& m) { m.tensors[1].begin -= 4; }).ok());
  EXPECT_FALSE(status([](WeightManifest& m) { m.tensors.pop_back(); }).ok());
  EXPECT_FALSE(status([](WeightManifest& m) { m.tensors[2].shape[0] += 1; }).ok());
  EXPECT_FALSE(status([](WeightManifest& m) { m.tensors[2].shape = {-1, 5}; }).ok());
  EXPECT_FALSE(status([](WeightManifest& m) {
                 m.tensors[0].shape = {int64_t{1} << 62, int64_t{1} << 62};
               }).ok());
  EXPECT_FALSE(status([](WeightManifest& m) { m.tensors[3].name = m.tensors[4].name; }).ok());
  EXPECT_FALSE(status([](WeightManifest& m) { m.tensors.back().end = ~uint64_t{0}; }).ok());
}

TEST(Weights, MatchesConfigNamesTheTensor) {
  const auto weights = InitWeights(SmallConfig(), 1);
  ModelConfig tied = SmallConfig();
  tied.tie_word_embeddings = true;
  EXPECT_THAT(weights->MatchesConfig(tied).message(), HasSubstr("lm_head.weight"));
  EXPECT_THAT(InitWeights(tied, 1)->MatchesConfig(SmallConfig()).message(),
              HasSubstr("lm_head.weight"));
  ModelConfig wide = SmallConfig();
  wide.moe_intermediate_size = 8;
  EXPECT_THAT(weights->MatchesConfig(wide).message(), HasSubstr("experts.0.gate_proj"));
}

}  // namespace weights_test
}  // namespace ponder::moe
