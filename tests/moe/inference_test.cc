#include "moe/inference.h"

#include <array>
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>

#include "base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "moe/kernels/aligned_buffer.h"
#include "moe/routing_record.h"
#include "tests/moe/reference_decoder.h"

namespace ponder::moe {
namespace inference_test {

using kernels::AttentionRow;

ModelConfig BaseConfig() {
  ModelConfig config;
  config.vocab_size = 50;
  config.hidden_size = 24;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.intermediate_size = 40;
  config.num_experts = 5;
  config.num_experts_per_tok = 2;
  config.moe_intermediate_size = 20;
  config.max_position_embeddings = 256;
  return config;
}

struct Variant {
  const char* name;
  void (*change)(ModelConfig&);
};

const Variant kVariants[] = {
    {"GroupedQueryWithQkNorm", [](ModelConfig&) {}},
    {"SharedExpert", [](ModelConfig& c) { c.shared_expert_intermediate_size = 28; }},
    {"DenseFirstLayer", [](ModelConfig& c) { c.first_k_dense_replace = 1; }},
    {"SigmoidRouter", [](ModelConfig& c) { c.scoring_func = "sigmoid"; }},
    {"WeightsNotNormalised", [](ModelConfig& c) { c.norm_topk_prob = false; }},
    {"TiedEmbeddings", [](ModelConfig& c) { c.tie_word_embeddings = true; }},
    {"NoQkNorm", [](ModelConfig& c) { c.qk_norm = QkNorm::kNone; }},
    {"MultiQuery", [](ModelConfig& c) { c.num_key_value_heads = 1; }},
    {"AllDense", [](ModelConfig& c) { c.num_experts = 0; }},
};

std::vector<int32_t> RandomTokens(int64_t count, int64_t vocab, uint64_t seed) {
  Rng rng(seed, "tokens");
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(rng.NextInt(0, vocab - 1)));
  return tokens;
}

// One sequence with pages of its own, which start out as NaN: nothing unwritten may be read.
struct Cached {
  Cached(const ModelConfig& config, std::vector<int32_t> t) : tokens(std::move(t)) {
    const int64_t floats =
        kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers);
    const int64_t count =
        (static_cast<int64_t>(tokens.size()) + kernels::kKvBlock - 1) / kernels::kKvBlock;
    for (int64_t i = 0; i < count; ++i) {
      buffers.emplace_back(floats);
      for (int64_t j = 0; j < floats; ++j)
        buffers.back().data()[j] = std::numeric_limits<float>::quiet_NaN();
      pages.push_back(buffers.back().data());
    }
  }
  std::vector<int32_t> tokens;
  std::deque<kernels::AlignedBuffer> buffers;
  std::vector<float*> pages;
};

// Logits after every token, feeding `chunk` tokens of each sequence at a time.
std::vector<std::vector<std::vector<float>>> LogitsOf(Inference& inference,
                                                      std::vector<Cached*> sequences,
                                                      size_t chunk) {
  std::vector<std::vector<std::vector<float>>> logits(sequences.size());
  for (size_t begin = 0;; begin += chunk) {
    std::vector<int32_t> tokens, logit_rows;
    std::vector<AttentionRow> rows;
    std::vector<size_t> owner;
    for (size_t s = 0; s < sequences.size(); ++s) {
      Cached& sequence = *sequences[s];
      for (size_t i = begin; i < std::min(begin + chunk, sequence.tokens.size()); ++i) {
        logit_rows.push_back(static_cast<int32_t>(tokens.size()));
        tokens.push_back(sequence.tokens[i]);
        rows.push_back({sequence.pages.data(), static_cast<int64_t>(i) + 1});
        owner.push_back(s);
      }
    }
    if (tokens.empty()) return logits;
    inference.Forward(tokens, rows, logit_rows);
    for (size_t i = 0; i < owner.size(); ++i) {
      const float* row = inference.logits(static_cast<int64_t>(i));
      logits[owner[i]].emplace_back(row, row + inference.config().vocab_size);
    }
  }
}

class InferenceTest : public ::testing::TestWithParam<Variant> {
 protected:
  InferenceTest() {
    ModelConfig config = BaseConfig();
    GetParam().change(config);
    model_ = RandomModel(config, 11);
  }
  Model model_;
};

TEST_P(InferenceTest, AgreesWithTheReference) {
  kernels::ThreadPool pool(1);
  const auto packed = PackModel(pool, model_);
  ASSERT_TRUE(packed.ok()) << packed.status();
  Inference inference(pool, *packed);
  Cached sequence(model_.config, RandomTokens(70, model_.config.vocab_size, 5));
  const auto logits = LogitsOf(inference, {&sequence}, 70)[0];
  const auto expected = ReferenceLogits(model_, sequence.tokens);
  double spread = 0;
  for (size_t t = 0; t < logits.size(); ++t) {
    for (size_t v = 0; v < logits[t].size(); ++v) {
      ASSERT_NEAR(logits[t][v], expected[t][v], 2e-5) << "token " << t << ", vocabulary " << v;
      spread = std::max(spread, std::abs(expected[t][v]));
    }
  }
  EXPECT_GT(spread, 1) << "a flat model would hide mistakes";
}

TEST_P(InferenceTest, BitsDoNotDependOnChunksBatchOrThreads) {
  const std::vector<int32_t> tokens[] = {RandomTokens(70, model_.config.vocab_size, 5),
                                         RandomTokens(33, model_.config.vocab_size, 6),
                                         RandomTokens(1, model_.config.vocab_size, 7)};
  std::vector<std::vector<std::vector<float>>> alone;
  for (const auto& sequence_tokens : tokens) {
    kernels::ThreadPool pool(1);
    Inference inference(pool, *PackModel(pool, model_));
    Cached sequence(model_.config, sequence_tokens);
    alone.push_back(LogitsOf(inference, {&sequence}, sequence_tokens.size())[0]);
  }
  for (int threads : {1, 2}) {
    kernels::ThreadPool pool(threads);
    Inference inference(pool, *PackModel(pool, model_));
    for (size_t chunk : {1, 7, 32, 100}) {
      Cached a(model_.config, tokens[0]), b(model_.config, tokens[1]), c(model_.config, tokens[2]);
      const auto together = LogitsOf(inference, {&a, &b, &c}, chunk);
      for (size_t s = 0; s < 3; ++s) {
        for (size_t t = 0; t < alone[s].size(); ++t) {
          ASSERT_EQ(std::memcmp(together[s][t].data(), alone[s][t].data(),
                                alone[s][t].size() * sizeof(float)),
                    0)
              << threads << " threads, chunks of " << chunk << ", sequence " << s << ", token "
              << t;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, InferenceTest, ::testing::ValuesIn(kVariants),
                         [](const auto& param) { return param.param.name; });

TEST(Inference, NewWeightsTakeEffectAtTheNextForward) {
  const Model old_model = RandomModel(BaseConfig(), 1), new_model = RandomModel(BaseConfig(), 2);
  kernels::ThreadPool pool(1);
  Inference inference(pool, *PackModel(pool, old_model));
  Cached before(old_model.config, {1, 2, 3}), after(old_model.config, {1, 2, 3}),
      fresh(old_model.config, {1, 2, 3});
  LogitsOf(inference, {&before}, 3);
  inference.SetModel(*PackModel(pool, new_model));
  Inference other(pool, *PackModel(pool, new_model));
  EXPECT_EQ(LogitsOf(inference, {&after}, 3), LogitsOf(other, {&fresh}, 3));
}

TEST(Inference, PackingNamesTheTensorThatDoesNotFit) {
  kernels::ThreadPool pool(1);
  Model model = RandomModel(BaseConfig(), 1);
  model.config.tie_word_embeddings = true;
  EXPECT_THAT(PackModel(pool, model).status().message(), ::testing::HasSubstr("lm_head.weight"));
  const WeightManifest integers = BaseConfig().Layout(DType::kI64);
  model.config = BaseConfig();
  model.weights =
      *Weights::Make(integers, std::make_shared<std::vector<uint8_t>>(integers.total_bytes));
  EXPECT_THAT(PackModel(pool, model).status().message(), ::testing::HasSubstr("I64"));
}

TEST(RoutingRecord, ReadsWhatWasWrittenAndNothingElse) {
  for (const int64_t experts : {8, 256, 300}) {
    ModelConfig config;
    config.num_hidden_layers = 3;
    config.first_k_dense_replace = 1;
    config.num_experts = experts;
    config.num_experts_per_tok = 2;
    const RoutingShape shape = RoutingShape::Of(config);
    EXPECT_EQ(shape.layers, (std::vector<int64_t>{1, 2}));
    EXPECT_EQ(shape.token_bytes(), experts > 256 ? 8 : 4);
    const auto last = static_cast<int32_t>(experts - 1);
    std::string record(2 * shape.token_bytes(), 'x');
    auto* bytes = reinterpret_cast<uint8_t*>(record.data());
    for (const auto& [token, layer, first, second] :
         {std::array<int32_t, 4>{0, 0, 1, last}, {0, 1, 7, 0}, {1, 0, last, 5}, {1, 1, 3, 2}}) {
      const int32_t chosen[] = {first, second};
      WriteRouting(shape, layer, chosen, bytes + token * shape.token_bytes());
    }
    const auto routing = ReadRouting(shape, record, 2);
    ASSERT_TRUE(routing.ok()) << routing.status();
    const auto top = static_cast<uint16_t>(last);
    EXPECT_EQ(*routing, (std::vector<uint16_t>{1, top, 7, 0, top, 5, 3, 2}));
    EXPECT_FALSE(ReadRouting(shape, record, 3).ok());
    EXPECT_FALSE(ReadRouting(shape, record.substr(1), 2).ok());
    const int32_t twice[] = {4, 4}, beyond[] = {0, static_cast<int32_t>(experts)};
    WriteRouting(shape, 1, twice, bytes);
    EXPECT_THAT(std::string(ReadRouting(shape, record, 2).status().message()),
                testing::HasSubstr("token 0 has expert 4 twice"));
    if (experts == 256) continue;  // a byte can't say 256
    WriteRouting(shape, 1, beyond, bytes);
    EXPECT_FALSE(ReadRouting(shape, record, 2).ok());
  }
}

}  // namespace inference_test
}  // namespace ponder::moe
