// A tiny model and learner ranks as threads, for the tests of learner/.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/philox.h"
#include "comm/group.h"
#include "learner/mesh.h"
#include "learner/policy_batch.h"
#include "learner/updater.h"
#include "moe/checkpoint.h"
#include "moe/decoder.h"
#include "moe/weights.h"

namespace ponder::learner {

inline moe::ModelConfig TinyConfig() {
  moe::ModelConfig config;
  config.vocab_size = 48;
  config.hidden_size = 32;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.intermediate_size = 48;
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.moe_intermediate_size = 24;
  config.max_position_embeddings = 64;
  config.initializer_range = 0.2;
  return config;
}

inline moe::Model TinyModel(uint64_t seed = 1) {
  const moe::ModelConfig config = TinyConfig();
  return {config, moe::InitWeights(config, seed)};
}

// Random sequences with plausible behaviour log-probs and advantages.
inline PolicyBatch RandomBatch(uint64_t seed, int64_t sequences) {
  Rng rng(seed, "random_batch");
  PolicyBatch batch;
  for (int64_t s = 0; s < sequences; ++s) {
    Rollout rollout;
    for (int64_t t = rng.NextInt(1, 6); t > 0; --t)
      rollout.prompt_tokens.push_back(static_cast<int32_t>(rng.NextInt(0, 47)));
    for (int64_t t = rng.NextInt(1, 12); t > 0; --t) {
      rollout.tokens.push_back(static_cast<int32_t>(rng.NextInt(0, 47)));
      rollout.logprobs.push_back(static_cast<float>(-3.8 + 0.3 * rng.NextGaussian()));
    }
    rollout.segments = {{0, 0}};
    batch.Append(rollout, {rng.NextGaussian(), s / 3, rng.NextInt(0, 1) == 1});
    // One advantage a response, as outcome rewards give.
    const auto advantage = static_cast<float>(rng.NextGaussian());
    std::fill(batch.advantages.begin() + batch.response_start(s), batch.advantages.end(),
              advantage);
  }
  // What other models say of it.
  for (auto* column :
       {&batch.proximal_logprobs, &batch.reference_logprobs, &batch.values, &batch.returns}) {
    for (const float logprob : batch.behaviour_logprobs)
      column->push_back(logprob + static_cast<float>(0.3 * rng.NextGaussian()));
  }
  return batch;
}

// One learner rank on the tiny model.
struct TestRank {
  Mesh mesh;
  std::unique_ptr<moe::Decoder> decoder;
  std::unique_ptr<Updater> updater;
};

// Runs `body` on `ranks` threads, each with its own rank; the statuses, by rank. `frozen`: of the
// decoder, for adapters.
inline std::vector<absl::Status> OnRanks(int ranks, int expert_parallel,
                                         const Updater::Options& options,
                                         const std::function<absl::Status(TestRank&)>& body,
                                         bool frozen = false) {
  auto groups = comm::MakeThreadGroup(ranks);
  std::vector<absl::Status> statuses(ranks);
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] {
      statuses[r] = [&]() -> absl::Status {
        TestRank rank;
        auto mesh = MakeMesh(std::move(groups[r]), expert_parallel);
        if (!mesh.ok()) return mesh.status();
        rank.mesh = *std::move(mesh);
        const moe::Model model = TinyModel();
        auto decoder =
            moe::Decoder::Make(model.config, *model.weights, {/*threads=*/1, frozen},
                               rank.mesh.expert->size() > 1 ? rank.mesh.expert.get() : nullptr);
        if (!decoder.ok()) return decoder.status();
        rank.decoder = *std::move(decoder);
        rank.updater = std::make_unique<Updater>(options, *rank.decoder, rank.mesh);
        return body(rank);
      }();
    });
  }
  for (auto& thread : threads) thread.join();
  return statuses;
}

}  // namespace ponder::learner
