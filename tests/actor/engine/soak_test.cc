// Soak: sequences of mixed lengths that come, are cancelled, preempted and see their weights
// swapped under a KV budget too small for the batch. Every one is compared with one-by-one
// generation. PONDER_SOAK_SEQUENCES and PONDER_SOAK_SEED change how many and which.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actor/engine/engine.h"
#include "base/philox.h"
#include "gtest/gtest.h"
#include "moe/kernels/aligned_buffer.h"
#include "tests/moe/reference_decoder.h"

namespace ponder::actor {
namespace soak_test {

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  int64_t value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

moe::ModelConfig SoakConfig() {
  moe::ModelConfig config;
  config.vocab_size = 24;
  config.hidden_size = 8;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 640;  // 160 KiB a page: 6 pages in all
  config.intermediate_size = config.moe_intermediate_size = 8;
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.max_position_embeddings = 160;
  config.initializer_range = 0.5;
  return config;
}

// A pure function of its number.
Engine::Request MakeRequest(int64_t number) {
  Rng rng(static_cast<uint64_t>(number), "request");
  Engine::Request request;
  request.key = {absl::StrCat("p", number / 3), number};
  Rng prompt(static_cast<uint64_t>(number / 3 % 40), "prompt");
  // Some have a common beginning, some nothing in common; siblings have the same prompt.
  const int64_t common = prompt.NextInt(0, 2) == 0 ? 40 : 0;
  request.prompt_tokens.assign(static_cast<size_t>(common), 5);
  for (int64_t n = prompt.NextInt(1, 60); n > 0; --n)
    request.prompt_tokens.push_back(static_cast<int32_t>(prompt.NextInt(0, 23)));
  request.max_new_tokens = rng.NextInt(1, 50);
  request.seed = 3;
  if (rng.NextInt(0, 3) > 0) request.eos_tokens = {2};
  request.sampling.temperature = rng.NextInt(0, 4) == 0 ? 0 : 0.9f;
  if (rng.NextInt(0, 3) == 0) request.sampling.top_k = 5;
  if (rng.NextInt(0, 5) == 0) request.sampling.repetition_penalty = 1.2f;
  return request;
}

class Soak {
 public:
  Soak(Engine::KvOnSwap kv_on_swap, int threads, uint64_t seed)
      : rng_(seed, "soak"), keep_(kv_on_swap == Engine::KvOnSwap::kKeep) {
    for (uint64_t version = 0; version < 3; ++version) {
      models_.push_back(moe::RandomModel(SoakConfig(), 50 + version));
      alone_.push_back(
          std::make_unique<moe::Inference>(pool_, *moe::PackModel(pool_, models_.back())));
    }
    const moe::ModelConfig config = SoakConfig();
    for (int64_t p = 0; p * kernels::kKvBlock < config.max_position_embeddings; ++p) {
      memory_.emplace_back(
          kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers));
      pages_.push_back(memory_.back().data());
    }
    engine_ = *Engine::Make(Options(kv_on_swap, threads), models_[0], 0);
  }

  void Run(int64_t sequences) {
    int64_t next = 0, version = 0;
    std::vector<Engine::Finished> done;
    while (next < sequences || engine_->pending() > 0) {
      while (next < sequences && engine_->pending() < 24 && rng_.NextInt(0, 2) > 0) {
        ASSERT_TRUE(engine_->Enqueue(MakeRequest(next++)).ok());
      }
      if (next > 0 && rng_.NextInt(0, 9) == 0) {
        const Engine::Request victim =
            MakeRequest(next - 1 - rng_.NextInt(0, std::min<int64_t>(next - 1, 23)));
        if (auto cancelled = engine_->Cancel(victim.key)) {
          ++cancelled_;
          Compare(*cancelled);
        }
      }
      if (rng_.NextInt(0, 59) == 0) {
        ++version;
        ASSERT_TRUE(engine_->SetModel(models_[version % 3], version).ok());
      }
      ASSERT_TRUE(engine_->Step(&done).ok());
      for (const Engine::Finished& finished : done) Compare(finished);
      ended_ += static_cast<int64_t>(done.size());
      done.clear();
      if (::testing::Test::HasFailure()) return;
    }
    EXPECT_EQ(ended_ + cancelled_, sequences);
    EXPECT_GT(compared_, 5 * sequences);
    EXPECT_EQ(engine_->pages_in_use(), 0) << "pages leaked";
    EXPECT_GT(engine_->stats().preemptions, sequences / 50);
    EXPECT_GT(engine_->stats().tokens_shared, sequences);
    EXPECT_GT(swapped_, sequences / 100);
    EXPECT_GT(cancelled_, sequences / 50);
  }

 private:
  static Engine::Options Options(Engine::KvOnSwap kv_on_swap, int threads) {
    Engine::Options options;
    options.threads = threads;
    options.max_batch = 12;
    options.kv_cache_mib = 1;
    options.prefill_tokens = 37;
    options.kv_on_swap = kv_on_swap;
    return options;
  }

  // Each segment is what one-by-one generation under its weights makes of the tokens before it; of
  // tokens on kept keys only the bookkeeping can be checked.
  void Compare(const Engine::Finished& finished) {
    const Engine::Request request = MakeRequest(finished.key.sample_index);
    swapped_ += finished.segments.size() > 1;
    const int64_t length = static_cast<int64_t>(finished.tokens.size());
    for (size_t s = 0; s < finished.segments.size(); ++s) {
      const Segment& segment = finished.segments[s];
      const int64_t end =
          s + 1 < finished.segments.size() ? finished.segments[s + 1].first_token : length;
      ASSERT_LT(segment.first_token, end);
      ASSERT_TRUE(keep_ || segment.kv_version == segment.weight_version);
      if (segment.kv_version == segment.weight_version)
        OneByOne(request, finished, segment.first_token, end, segment.weight_version % 3);
    }
    if (finished.stop_reason == StopReason::kCancelled) return;
    const bool eos = absl::c_linear_search(request.eos_tokens, finished.tokens.back());
    ASSERT_EQ(finished.stop_reason, eos ? StopReason::kEndOfSequence : StopReason::kLength);
    ASSERT_TRUE(eos || length == request.max_new_tokens);
  }

  // Tokens [begin, end) of the response, each drawn again from the logits of a pass over this
  // sequence alone.
  void OneByOne(const Engine::Request& request, const Engine::Finished& finished, int64_t begin,
                int64_t end, int64_t model) {
    std::vector<int32_t> tokens = request.prompt_tokens;
    tokens.insert(tokens.end(), finished.tokens.begin(), finished.tokens.end());
    const int64_t prompt = static_cast<int64_t>(request.prompt_tokens.size());
    tokens.resize(static_cast<size_t>(prompt + end));
    std::vector<kernels::AttentionRow> rows;
    std::vector<int32_t> logit_rows;
    for (int64_t t = 0; t + 1 < prompt + end; ++t) {
      rows.push_back({pages_.data(), t + 1});
      if (t + 1 >= prompt + begin) logit_rows.push_back(static_cast<int32_t>(t));
    }
    moe::Inference& inference = *alone_[static_cast<size_t>(model)];
    inference.Forward(absl::MakeConstSpan(tokens).first(rows.size()), rows, logit_rows);
    const SampleRng rng(request.seed, request.key.prompt_id, request.key.sample_index);
    std::vector<float> scratch(3 * 24);
    for (int64_t t = begin; t < end; ++t) {
      const kernels::SampledToken drawn = kernels::SampleToken(
          inference.logits(t - begin), 24, request.sampling, rng.Uniform(t), scratch.data(),
          absl::MakeConstSpan(tokens).first(static_cast<size_t>(prompt + t)));
      ASSERT_EQ(finished.tokens[static_cast<size_t>(t)], drawn.token)
          << request.key.sample_index << ", token " << t;
      ASSERT_EQ(finished.logprobs[static_cast<size_t>(t)], drawn.logprob);
      ++compared_;
    }
  }

  Rng rng_;
  const bool keep_;
  std::vector<moe::Model> models_;
  kernels::ThreadPool pool_{1};
  std::vector<std::unique_ptr<moe::Inference>> alone_;  // by model
  std::vector<kernels::AlignedBuffer> memory_;
  std::vector<float*> pages_;
  std::unique_ptr<Engine> engine_;
  int64_t ended_ = 0, cancelled_ = 0, swapped_ = 0, compared_ = 0;
};

class SoakTest : public ::testing::TestWithParam<Engine::KvOnSwap> {};

TEST_P(SoakTest, EverySequenceIsWhatItWouldBeAlone) {
  const uint64_t seed = static_cast<uint64_t>(FromEnvironment("PONDER_SOAK_SEED", 1));
  const int64_t sequences = FromEnvironment("PONDER_SOAK_SEQUENCES", 400);
  std::printf("seed %llu, %lld sequences\n", static_cast<unsigned long long>(seed),
              static_cast<long long>(sequences));
  Soak(GetParam(), /*threads=*/2, seed).Run(sequences);
}

INSTANTIATE_TEST_SUITE_P(Kinds, SoakTest,
                         ::testing::Values(Engine::KvOnSwap::kRecompute, Engine::KvOnSwap::kKeep));

}  // namespace soak_test
}  // namespace ponder::actor
