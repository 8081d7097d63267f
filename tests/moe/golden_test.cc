// Checkpoints of every family against what the original modelling code computes from them
// (tests/data/hf, see tests/data/README.md), and their round trip.
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actor/engine/engine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "moe/checkpoint.h"
#include "moe/checkpoint_diff.h"
#include "moe/model_files.h"
#include "moe/scoring.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace golden_test {

using Json = nlohmann::json;

std::string Folder(const std::string& name) {
  return std::string(PONDER_SOURCE_DIR) + "/tests/data/hf/" + name;
}

class Golden : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::ifstream file(Folder(GetParam()) + "/golden.json");
    golden_ = Json::parse(file);
    const auto model = LoadModel(Folder(GetParam()));
    ASSERT_TRUE(model.ok()) << model.status();
    auto packed = PackModel(pool_, *model);
    ASSERT_TRUE(packed.ok()) << packed.status();
    inference_ = std::make_unique<Inference>(pool_, *std::move(packed));
  }
  TokenScores Score(const std::vector<int32_t>& ids, bool routing) {
    auto scores = ScoreTokens(*inference_, ids, routing);
    EXPECT_TRUE(scores.ok()) << scores.status();
    return *std::move(scores);
  }

  // The noise of correct float32 implementations is below 8e-5.
  static constexpr double kTolerance = 2e-4;
  kernels::ThreadPool pool_{1};
  std::unique_ptr<Inference> inference_;
  Json golden_;
};

TEST_P(Golden, LogprobsOfPrompts) {
  for (size_t s = 0; s < golden_["input_ids"].size(); ++s) {
    const auto scores = Score(golden_["input_ids"][s].get<std::vector<int32_t>>(), false);
    const auto expected = golden_["logprobs_of_next"][s].get<std::vector<double>>();
    ASSERT_EQ(scores.logprobs.size(), expected.size());
    for (size_t t = 0; t < expected.size(); ++t) {
      EXPECT_NEAR(scores.logprobs[t], expected[t], kTolerance) << "prompt " << s << ", token " << t;
    }
  }
}

TEST_P(Golden, ChoicesOfRouters) {
  for (size_t s = 0; s < golden_["input_ids"].size(); ++s) {
    const auto scores = Score(golden_["input_ids"][s].get<std::vector<int32_t>>(), true);
    const Json& expected = golden_["router_topk"][s];
    const Json& weights = golden_["router_topk_weights"][s];
    ASSERT_EQ(scores.routing.size(), expected.size());
    for (size_t layer = 0; layer < expected.size(); ++layer) {
      const Inference::Routing& routing = scores.routing[layer];
      if (expected[layer].is_null()) {
        EXPECT_TRUE(routing.experts.empty());
        continue;
      }
      size_t at = 0;
      for (size_t t = 0; t < expected[layer].size(); ++t) {
        std::map<int32_t, float> chosen;
        for (size_t k = 0; k < expected[layer][t].size(); ++k, ++at)
          chosen[routing.experts.at(at)] = routing.weights.at(at);
        size_t k = 0;
        for (const auto& [expert, weight] : chosen) {
          EXPECT_EQ(expert, expected[layer][t][k]) << "layer " << layer << ", token " << t;
          EXPECT_NEAR(weight, weights[layer][t][k].get<double>(), kTolerance);
          ++k;
        }
      }
    }
  }
}

// Its log-probs, scored in one pass.
TEST_P(Golden, LogprobsOfContinuations) {
  for (size_t s = 0; s < golden_["input_ids"].size(); ++s) {
    auto ids = golden_["input_ids"][s].get<std::vector<int32_t>>();
    const auto continuation = golden_["greedy_continuation"][s].get<std::vector<int32_t>>();
    const auto logprobs = golden_["greedy_logprobs"][s].get<std::vector<double>>();
    const size_t prompt = ids.size();
    ids.insert(ids.end(), continuation.begin(), continuation.end());
    const auto scores = Score(ids, false);
    for (size_t i = 0; i < continuation.size(); ++i) {
      EXPECT_NEAR(scores.logprobs[prompt - 1 + i], logprobs[i], kTolerance);
    }
  }
}

// Token by token, as the engine generates them.
TEST_P(Golden, GreedyContinuations) {
  auto model = LoadModel(Folder(GetParam()));
  ASSERT_TRUE(model.ok()) << model.status();
  model->config.LimitPositions(128);  // the cases' prompts are shorter; their RoPE is not touched
  actor::Engine::Options options;
  options.kv_cache_mib = 64;
  auto engine = actor::Engine::Make(options, *model, /*version=*/0);
  ASSERT_TRUE(engine.ok()) << engine.status();
  std::vector<actor::Engine::Request> requests;
  for (const Json& ids : golden_["input_ids"]) {
    actor::Engine::Request request;
    request.key = {"prompt", static_cast<int64_t>(requests.size())};
    request.prompt_tokens = ids.get<std::vector<int32_t>>();
    request.max_new_tokens = 32;
    request.sampling.temperature = 0;
    requests.push_back(std::move(request));
  }
  const auto done = actor::GenerateAll(**engine, std::move(requests));
  ASSERT_TRUE(done.ok()) << done.status();
  for (size_t s = 0; s < done->size(); ++s) {
    EXPECT_EQ((*done)[s].tokens, golden_["greedy_continuation"][s].get<std::vector<int32_t>>())
        << "prompt " << s;
  }
}

// What comes back out of a checkpoint is what went in, as one file and as shards.
TEST_P(Golden, RoundTrip) {
  const std::string folder =
      absl::StrCat(::testing::TempDir(), "golden_round_trip.", getpid(), ".", GetParam());
  for (const uint64_t shard : {kMaxShardBytes, uint64_t{100'000}}) {
    const auto files = StoredModelFiles(Folder(GetParam()), {}, shard);
    ASSERT_TRUE(files.ok()) << files.status();
    ASSERT_TRUE(WriteCheckedFolder(folder, *files).ok());
    ASSERT_TRUE(LoadModel(folder).ok()) << LoadModel(folder).status();
    EXPECT_EQ(std::filesystem::exists(folder + "/" + kIndexFile), shard < kMaxShardBytes);
    const auto diff = DiffCheckpoints(Folder(GetParam()), folder);
    ASSERT_TRUE(diff.ok()) << diff.status();
    EXPECT_TRUE(diff->differences.empty());
    std::ifstream tensors(Folder(GetParam()) + "/tensors.json");
    EXPECT_EQ(diff->tensors, static_cast<int64_t>(Json::parse(tensors).size()));
    // By way of the decoder: its tensors, and those that it has no use for.
    const auto model = LoadModel(Folder(GetParam()));
    const auto carried = CarriedFrom(Folder(GetParam()), model->config, {});
    ASSERT_TRUE(carried.ok()) << carried.status();
    ASSERT_TRUE(WriteCheckedFolder(folder, ModelFiles(*model, *carried, shard)).ok());
    const auto trained = DiffCheckpoints(Folder(GetParam()), folder);
    ASSERT_TRUE(trained.ok()) << trained.status();
    EXPECT_TRUE(trained->differences.empty()) << trained->differences[0].name;
    EXPECT_EQ(LoadModel(folder)->config.ToJson(), model->config.ToJson());
  }
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Families, Golden,
                         ::testing::Values("deepseek_v2", "deepseek_v3", "deepseek_v3_mtp",
                                           "deepseek_v3_nointerleave", "llama",
                                           "llama_linear_legacy", "mixtral", "olmoe", "qwen2_moe",
                                           "qwen3_moe"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace golden_test
}  // namespace ponder::moe
