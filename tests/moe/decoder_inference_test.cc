// Promise 2: what the actor records while it samples over its KV cache and what the learner
// recomputes over the packed rollouts are the same bits.
#include <ATen/ATen.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "base/philox.h"
#include "gtest/gtest.h"
#include "moe/decoder.h"
#include "moe/inference.h"
#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/sampling.h"
#include "moe/scoring.h"
#include "tests/moe/decoder_cases.h"

namespace ponder::moe {
namespace decoder_inference_test {

constexpr uint64_t kSeed = 20240609;

// A prompt and its sampled continuation.
struct Sequence {
  std::vector<int32_t> tokens;
  int64_t prompt = 0;
  std::vector<float> logprobs;  // of tokens [prompt, end), as the actor records them
  std::vector<kernels::AlignedBuffer> memory;
  std::vector<float*> pages;
};

class DecoderInference : public ::testing::TestWithParam<DecoderCase> {
 protected:
  // Samples `length` tokens after each prompt, all sequences in one batch.
  std::vector<Sequence> Sample(const ModelConfig& config, const std::vector<int64_t>& prompts,
                               int64_t length, const kernels::SamplingOptions& sampling) {
    kernels::ThreadPool pool(2);
    const auto packed = PackModel(pool, {config, RandomWeights(config, kSeed)});
    EXPECT_TRUE(packed.ok()) << packed.status();
    Inference inference(pool, *packed);
    const PackedBatch batch = RandomBatch(config, prompts, kSeed);
    const int64_t page_floats =
        kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers);
    std::vector<Sequence> sequences(prompts.size());
    for (size_t s = 0; s < prompts.size(); ++s) {
      sequences[s].tokens.assign(batch.tokens.begin() + batch.starts[s],
                                 batch.tokens.begin() + batch.starts[s + 1]);
      sequences[s].prompt = prompts[s];
      for (int64_t p = 0; p * kernels::kKvBlock < prompts[s] + length; ++p) {
        sequences[s].memory.emplace_back(page_floats);
        sequences[s].pages.push_back(sequences[s].memory.back().data());
      }
    }
    Rng rng(kSeed, "uniforms");
    std::vector<float> scratch(2 * config.vocab_size);
    for (int64_t step = 0; step < length; ++step) {
      std::vector<int32_t> tokens, logit_rows;
      std::vector<kernels::AttentionRow> rows;
      for (Sequence& sequence : sequences) {
        const int64_t end = sequence.tokens.size();
        for (int64_t i = step == 0 ? 0 : end - 1; i < end; ++i) {
          tokens.push_back(sequence.tokens[i]);
          rows.push_back({sequence.pages.data(), i + 1});
        }
        logit_rows.push_back(static_cast<int32_t>(tokens.size()) - 1);
      }
      inference.Forward(tokens, rows, logit_rows);
      for (size_t s = 0; s < sequences.size(); ++s) {
        const kernels::SampledToken sampled =
            kernels::SampleToken(inference.logits(s), config.vocab_size, sampling,
                                 static_cast<float>(rng.NextUniform() * 0.999), scratch.data());
        sequences[s].tokens.push_back(sampled.token);
        sequences[s].logprobs.push_back(sampled.logprob);
      }
    }
    return sequences;
  }

  void Compare(const kernels::SamplingOptions& sampling, float temperature) {
    const ModelConfig& config = GetParam().config;
    const std::vector<Sequence> sequences = Sample(config, {3, 40, 1, 31}, 40, sampling);
    PackedBatch batch;
    std::vector<int32_t> rows, targets;
    std::vector<float> recorded;
    for (const Sequence& sequence : sequences) {
      const int64_t start = batch.tokens.size();
      const int64_t end = sequence.tokens.size();
      // The last token is a target only.
      batch.tokens.insert(batch.tokens.end(), sequence.tokens.begin(), sequence.tokens.end() - 1);
      batch.starts.push_back(batch.tokens.size());
      for (int64_t i = sequence.prompt; i < end; ++i) {
        rows.push_back(static_cast<int32_t>(start + i - 1));
        targets.push_back(sequence.tokens[i]);
      }
      recorded.insert(recorded.end(), sequence.logprobs.begin(), sequence.logprobs.end());
    }
    auto decoder = Decoder::Make(config, *RandomWeights(config, kSeed), {});
    ASSERT_TRUE(decoder.ok()) << decoder.status();
    const auto stats = (*decoder)->Forward(batch, rows, targets, temperature);
    ASSERT_TRUE(stats.ok()) << stats.status();
    const float* recomputed = stats->logprob.data_ptr<float>();
    int different = 0;
    float gap = 0;
    for (size_t i = 0; i < recorded.size(); ++i) {
      different += std::memcmp(&recorded[i], &recomputed[i], sizeof(float)) != 0;
      gap = std::max(gap, std::abs(recorded[i] - recomputed[i]));
    }
    EXPECT_EQ(different, 0) << "of " << recorded.size() << " log-probs; largest gap " << gap;
  }
};

TEST_P(DecoderInference, TheSameBitsAtTemperatureOne) { Compare({1, 1}, 1); }
TEST_P(DecoderInference, TheSameBitsWithTemperatureAndTopP) { Compare({0.7f, 0.9f}, 0.7f); }
TEST_P(DecoderInference, TheSameBitsWhenGreedy) { Compare({0, 1}, 1); }

INSTANTIATE_TEST_SUITE_P(Variants, DecoderInference, ::testing::ValuesIn(DecoderCases()),
                         [](const auto& info) { return info.param.name; });

class ScalarHead : public ::testing::TestWithParam<DecoderCase> {};

TEST_P(ScalarHead, TheEngineScoresWithTheTrainersBits) {
  ModelConfig config = GetParam().config;
  config.scalar_head = true;
  const auto weights = RandomWeights(config, 77);
  const auto decoder = Decoder::Make(config, *weights, {});
  ASSERT_TRUE(decoder.ok()) << decoder.status();
  kernels::ThreadPool pool(1);
  const auto packed = PackModel(pool, {config, weights});
  ASSERT_TRUE(packed.ok()) << packed.status();
  Inference inference(pool, *packed);
  const int64_t longest = config.max_position_embeddings;
  const PackedBatch batch = RandomBatch(config, {1, 7, longest, 33}, 78);
  std::vector<int32_t> last_rows;
  for (size_t s = 1; s < batch.starts.size(); ++s)
    last_rows.push_back(static_cast<int32_t>(batch.starts[s] - 1));
  const auto values = (*decoder)->ForwardValues(batch, last_rows);
  ASSERT_TRUE(values.ok()) << values.status();
  for (size_t s = 0; s + 1 < batch.starts.size(); ++s) {
    const absl::Span<const int32_t> ids(batch.tokens.data() + batch.starts[s],
                                        batch.starts[s + 1] - batch.starts[s]);
    const auto score = ScoreSequence(inference, ids);
    ASSERT_TRUE(score.ok()) << score.status();
    EXPECT_EQ(*score, values->data_ptr<float>()[s]) << "sequence " << s;
    EXPECT_EQ(ScoreTokens(inference, ids, false).status().code(),
              absl::StatusCode::kFailedPrecondition);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, ScalarHead, ::testing::ValuesIn(DecoderCases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace decoder_inference_test
}  // namespace ponder::moe
